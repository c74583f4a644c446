#include "results/reference.h"

#include <gtest/gtest.h>

#include <set>

#include "results/stats.h"
#include "results/test_files.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

std::vector<ReferenceRow> figure(const std::string& name) {
  return *read_reference(str_cat(SOAPBOX_SOURCE_DIR, "/results/reference/", name, ".csv"));
}

std::string refusal(const std::string& line) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("fig.csv");
  write_bytes(path,
              "model,cluster,strategy,devices,metric,value,grade\n"
              "nmt,k80_16x4,expert,64,iteration_time_s,2.6,P\n" +
                  line + "\n");
  const Result<std::vector<ReferenceRow>> rows = read_reference(path);
  return rows ? "accepted" : rows.error().to_string().substr(path.size());
}

TEST(Reference, Fig6HasEverySeriesAtEveryPoint) {
  const std::vector<ReferenceRow> rows = figure("fig6_throughput");
  // 6 models x 3 strategies x (1, 2, 4, 8, 16 P100 and 1, 2, 4, 8, 16, 32, 64 K80).
  ASSERT_EQ(rows.size(), 6U * 3 * (5 + 7));
  for (const std::string model :
       {"alexnet", "inception_v3", "nmt", "resnet101", "rnnlm", "rnntc"}) {
    for (const std::string cluster : {"p100_4x4", "k80_16x4"}) {
      for (int64_t devices = 1; devices <= (cluster == "p100_4x4" ? 16 : 64); devices *= 2) {
        std::set<double> values;
        for (const std::string strategy : {"data_parallel", "expert", "flexflow"}) {
          const auto value =
              find_reference(rows, model, cluster, strategy, devices, "samples_per_s_per_device");
          ASSERT_TRUE(value) << model << cluster << devices << strategy;
          values.insert(*value);
        }
        // On one device all strategies are the same.
        if (devices == 1) {
          EXPECT_EQ(values.size(), 1U) << model << cluster;
        }
      }
    }
  }
}

TEST(Reference, CellsAreThePublishedOnes) {
  EXPECT_EQ(find_reference(figure("fig6_throughput"), "alexnet", "p100_4x4", "data_parallel", 16,
                           "samples_per_s_per_device"),
            634.9);
  EXPECT_EQ(find_reference(figure("fig7_nmt"), "nmt", "k80_16x4", "data_parallel", 64,
                           "communication_gib"),
            65.8);
  EXPECT_EQ(find_reference(figure("table5_search_time"), "nmt", "", "mcmc_delta", 64, "search_s"),
            2190);
  EXPECT_EQ(find_reference(figure("optcnn_volume"), "vgg16", "p100_4x4", "data_parallel", 16,
                           "communication_gib"),
            16.5);
  EXPECT_EQ(find_reference(figure("fig7_nmt"), "nmt", "k80_16x4", "data_parallel", 32,
                           "communication_gib"),
            std::nullopt);
}

// Data parallelism pushes and pulls every weight on every device: the volume is 2 N W, so it is
// proportional to the devices. The digitised values are rounded to 0.01.
TEST(Reference, DataParallelVolumesAreProportionalToTheDevices) {
  const std::vector<ReferenceRow> rows = figure("optcnn_volume");
  for (const std::string model : {"alexnet", "inception_v3", "vgg16"}) {
    const auto at = [&](int64_t devices) {
      return *find_reference(rows, model, "p100_4x4", "data_parallel", devices,
                             "communication_gib");
    };
    for (const int64_t devices : {2, 4, 8}) {
      EXPECT_NEAR(at(devices) / static_cast<double>(devices), at(16) / 16, 0.01) << model;
    }
  }
}

TEST(Reference, AnythingElseThanSuchATableIsRefusedWhereItIs) {
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,32,iteration_time_s,2.6,D"), "accepted");
  EXPECT_EQ(refusal("nmt,,expert,64,iteration_time_s,2.6,P"), "accepted");
  EXPECT_EQ(refusal(",k80_16x4,expert,64,iteration_time_s,2.6,P"),
            ":3:1: model '': must not be empty");
  EXPECT_EQ(refusal("nmt,k80_16x4,,64,iteration_time_s,2.6,P"),
            ":3:14: strategy '': must not be empty");
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,0,iteration_time_s,2.6,P"),
            ":3:21: devices '0': must be a positive whole number");
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,32,iteration_time,2.6,P").substr(0, 79),
            ":3:24: unknown metric 'iteration_time'; did you mean 'iteration_time_s'? known:");
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,32,iteration_time_s,-2.6,P"),
            ":3:41: value '-2.6': must be a positive number");
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,32,iteration_time_s,2.6,R"),
            ":3:45: grade 'R': must be P (printed in the source) or D (digitised)");
  EXPECT_EQ(refusal("nmt,k80_16x4,expert,64,iteration_time_s,2.7,P"),
            ":3:1: the same cell as in line 2");
}

}  // namespace
}  // namespace soapbox::results
