// Whatever a file holds, its reader gives a value or an error that says where. Plans and Hugging
// Face configurations have the same test beside their readers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "calib/fits/attention_fit.h"
#include "calib/fits/collective_samples.h"
#include "calib/fits/pass_fit.h"
#include "calib/fits/product_samples.h"
#include "calib/sampling/sample_file.h"
#include "results/reference.h"
#include "results/test_files.h"
#include "scenarios/runner/experiment.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/planning/certificate_file.h"
#include "scenarios/runner/planning/galvatron_files.h"
#include "scenarios/runner/planning/instance_file.h"
#include "scenarios/runner/planning/search_proof_file.h"
#include "scenarios/runner/run_factors_file.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/scenario_files/kernel_profile_file.h"
#include "scenarios/runner/scenario_files/profile_file.h"
#include "scenarios/runner/topology_import/nccl_topology.h"
#include "scenarios/runner/topology_import/topo_matrix.h"
#include "sim/base/test_mutation.h"
#include "sim/collective/measured.h"
#include "sim/cost/measured_table.h"
#include "strategies/miqp/prove.h"
#include "strategies/miqp/solve.h"

namespace soapbox::runner {
namespace {

const std::string kRoot = SOAPBOX_SOURCE_DIR "/";
const ScenarioFolder kScenarios(kRoot + "scenarios");

std::string shipped(const std::string& path) {
  const std::string text = results::read_bytes(kRoot + path);
  EXPECT_FALSE(text.empty()) << path;
  return text;
}

// Its first lines, so that every line is hit often.
std::string first_lines(const std::string& path, int count) {
  const std::string text = shipped(path);
  size_t end = 0;
  for (int line = 0; line < count && end < text.size(); ++line) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

const std::string kInstance = R"({"layers": 3, "strategies": 2, "stages": 2, "microbatches": 3,
"edges": [[0, 1], [1, 2]], "compute": [[3, 5], [3, 5], [3, null]],
"memory": [[4, 1], [4, 1], [4, 1]], "memory_limit": [9, 9],
"reshard": [[[0, 1], [1, 0]], [[0, 1], [1, 0]]],
"reshard_cross": [[[0, 1], [1, 0]], [[0, 1], [1, 0]]], "memory_model": "gpipe"})";

const std::string kExperiment = R"(name = "tiny"
baseline = "data_parallel"
sync = "bulk"
[[instances]]
models = ["lenet", "alexnet"]
clusters = ["p100_4x4"]
devices = [2, 4]
[[methods]]
recipe = "data_parallel"
[[methods]]
search = "mcmc"
budget = 20
seeds = [1, 2]
)";

miqp::Certificate certificate() {
  const Result<miqp::RealInstance> real = instance_from_json(kInstance, "i.json");
  const Result<miqp::Instance> instance = miqp::quantise(*real);
  const Result<const miqp::SolverRow*> solver = miqp::find_solver("exact");
  return *miqp::prove(*instance, (*solver)->solve(*instance, {}));
}

// A text that is read, and its reader: gives what it read written again, where that can be done.
struct Reader {
  std::string name;
  std::string text;
  std::function<Result<std::string>(const std::string& text, const std::string& path)> read;
  int mutations = 200;
};

template <class T>
Result<std::string> unwritten(const Result<T>& value) {
  if (!value) return value.error();
  return std::string();
}

// Readers of a path, for which the text is written there.
std::vector<Reader> file_readers() {
  const auto row = [](std::string name, std::string text, auto read, int mutations = 200) {
    return Reader{std::move(name), std::move(text),
                  [read](const std::string& bytes, const std::string& path) {
                    results::write_bytes(path, bytes);
                    return unwritten(read(path));
                  },
                  mutations};
  };
  return {
      row("hardware.csv", first_lines("scenarios/hardware/hardware.csv", 6),
          &HardwareCatalogue::read),
      row("profile.toml", shipped("scenarios/profiles/P100-SXM2-16GB.toml"), &read_profile),
      row("kernel_profile.toml", shipped("scenarios/profiles/kernel_profiles/A100-SXM4-80GB.toml"),
          &read_kernel_profile, 30),
      row("collectives.toml", shipped("scenarios/profiles/collectives/GB200-NVL72.toml"),
          &read_collective_profile),
      row(
          "experiment.toml", kExperiment,
          [](const std::string& path) { return read_experiment(kScenarios, path); }, 60),
      row("model.toml", shipped("scenarios/models/vgg19.toml"),
          [](const std::string& path) { return read_model(path, {}); }),
      row("run_factors.csv", shipped("scenarios/profiles/run_factors.csv"), &RunFactorTable::read),
      row("reference.csv", first_lines("results/reference/fig6_throughput.csv", 8),
          &results::read_reference),
      row("passes.csv",
          first_lines("scenarios/profiles/kernel_samples/A100-PCIe-40GB_passes.csv", 8),
          &calib::read_pass_samples),
      row("attention.csv",
          first_lines("scenarios/profiles/kernel_samples/A100-PCIe-80GB_attention.csv", 8),
          &calib::read_attention_samples),
      row("linear.csv", first_lines("scenarios/profiles/kernel_samples/T4_fp32_linear.csv", 8),
          [](const std::string& path) {
            return calib::read_product_samples(path, DataType::kFp32, false);
          }),
  };
}

// Readers of a text.
std::vector<Reader> text_readers() {
  static const Result<HardwareCatalogue> catalogue =
      HardwareCatalogue::read(kScenarios.hardware_catalogue());
  static const Result<LinkFigures> links = LinkFigures::read(kScenarios, "A100-SXM4-40GB");
  const auto row = [](std::string name, std::string text, auto read) {
    return Reader{std::move(name), std::move(text),
                  [read](const std::string& bytes, const std::string& path) {
                    return unwritten(read(bytes, path));
                  }};
  };
  const std::string pci = R"(link_speed="16.0 GT/s PCIe" link_width="16">)";
  const std::string link = "<nvlink target=\"0000:c4:00.0\" count=\"12\" tclass=\"0x068000\"/>\n";
  return {
      row("cluster.toml", shipped("scenarios/clusters/dgx_mixed.toml"),
          [](const std::string& text, const std::string& path) -> Result<Cluster> {
            const Result<ClusterDescription> described = parse_cluster(text, path, *catalogue);
            if (!described) return described.error();
            Result<Cluster> made = make_cluster(*described, 2);
            // Fewer devices than are asked for is no error of the file.
            if (!made && made.error().where.file.empty()) return bad_input("", {path, 0, 0});
            return made;
          }),
      row("topo.txt",
          "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\n"
          "GPU0\t X \tNV12\tPXB\t0-31\t0\nGPU1\tNV12\t X \tPXB\t0-31\t0\nNIC0\tPXB\tPXB\t X \t\t\n",
          [](const std::string& text, const std::string& path) {
            return node_from_topo_matrix(text, path, *links);
          }),
      row("nccl.xml",
          "<system version=\"1\">\n<cpu numaid=\"0\" arch=\"x86_64\" vendor=\"AuthenticAMD\" "
          "familyid=\"143\" modelid=\"49\">\n<pci busid=\"0000:05:00.0\" class=\"0x060400\" " +
              pci + "\n<pci busid=\"0000:07:00.0\" class=\"0x030200\" " + pci +
              "<gpu dev=\"0\" sm=\"80\" rank=\"0\" gdr=\"1\">" + link +
              "</gpu></pci>\n<pci busid=\"0000:0f:00.0\" class=\"0x030200\" " + pci +
              "<gpu dev=\"1\" sm=\"80\" rank=\"1\" gdr=\"1\">" + link +
              "</gpu></pci>\n</pci>\n</cpu>\n</system>\n",
          [](const std::string& text, const std::string& path) {
            return node_from_nccl_xml(text, path, *links);
          }),
      row("runs.csv", first_lines("scenarios/validation/training_runs.csv", 4),
          [](const std::string& text, const std::string& path) {
            return parse_measured_runs(text, path);
          }),
      row("measured.csv", first_lines("scenarios/profiles/measured/AMD-EPYC-25-17.csv", 8),
          [](const std::string& text, const std::string& path) {
            return MeasuredTable::parse(text, path, "AMD-EPYC-25-17");
          }),
      row("collectives.csv", first_lines("sim/testdata/collectives_a100_8.csv", 8),
          [](const std::string& text, const std::string& path) {
            return parse_measured_times(text, path, CollectiveOp::kAllReduce, 8);
          }),
      row("samples.jsonl", first_lines("scenarios/profiles/samples/AMD-EPYC-25-17.jsonl", 9),
          [](const std::string& text, const std::string& path) {
            return calib::parse_samples(text, path);
          }),
      row("instance.json", kInstance, &instance_from_json),
      row("galvatron.json", R"({"layernum[6]_bsz2": 77.27, "layertype_other_0_bsz1": 5.78,
"layertype_0": {"parameter_size": 773.25,
"tp_activation_per_bsz_dict": {"1": 301.28, "checkpoint": 16}},
"other_memory_pp_off_sp": {"[512,512]": {"model_states": {"4": 459.1}, "activation": {"4": 13.2}}},
"allreduce_size_8_consec_1": 152.9, "allreduce_size_4_1MB_time": 0.07, "overlap_coe": 1.1})",
          &parse_galvatron_profile),
  };
}

// Readers of what we write.
std::vector<Reader> readers_of_our_own() {
  const auto row = [](std::string name, const auto& value, auto write, auto read) {
    return Reader{
        std::move(name), write(value),
        [read, write](const std::string& bytes, const std::string& path) -> Result<std::string> {
          const auto read_value = read(bytes, path);
          if (!read_value) return read_value.error();
          return write(*read_value);
        }};
  };
  GalvatronPlanFile plan;
  plan.pp = 2;
  plan.stage_layers = {1, 1};
  plan.layers.assign(2, {.pp = 2, .tp = 2, .dp = 2});
  plan.global_batch = 8;
  plan.chunks = 2;
  return {
      row("certificate.json", certificate(), certificate_to_json, certificate_from_json),
      row("proof.json", SearchProof{{.stages = 2, .microbatches = 3, .certificate = certificate()}},
          search_proof_to_json, search_proof_from_json),
      row("galvatron_plan.json", plan, galvatron_plan_to_json,
          [](const std::string& text, const std::string& path) {
            return parse_galvatron_plan(text, path, 8);
          })};
}

class Readers : public testing::TestWithParam<std::vector<Reader> (*)()> {};

TEST_P(Readers, GiveAValueOrSayWhereTheErrorIs) {
  const results::ScratchDirectory folder;
  for (const char* const beside : {"fits", "measured"}) {  // what profiles name
    std::filesystem::create_directory_symlink(kRoot + "scenarios/profiles/" + beside,
                                              folder.file(beside));
  }
  for (const Reader& reader : GetParam()()) {
    const std::string path = folder.file(reader.name);
    const Result<std::string> good = reader.read(reader.text, path);
    ASSERT_TRUE(good) << reader.name << ": " << good.error().to_string();
    Rng rng(hash_bytes(reader.name));
    int refused = 0;
    for (int i = 0; i < reader.mutations; ++i) {
      const std::string text = mutated(reader.text, rng);
      const Result<std::string> value = reader.read(text, path);
      if (!value) {
        ++refused;
        EXPECT_FALSE(value.error().where.file.empty()) << value.error().message << "\n" << text;
        continue;
      }
      if (value->empty()) continue;
      const Result<std::string> again = reader.read(*value, path);
      ASSERT_TRUE(again) << reader.name << ": " << again.error().to_string() << "\n" << *value;
      EXPECT_EQ(*again, *value) << text;
    }
    EXPECT_GT(refused, reader.mutations / 10) << reader.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Readers,
                         testing::Values(file_readers, text_readers, readers_of_our_own));

}  // namespace
}  // namespace soapbox::runner
