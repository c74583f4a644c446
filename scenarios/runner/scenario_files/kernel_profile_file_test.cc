// The reader of kernel profiles, and the shipped ones against measured figures.

#include "scenarios/runner/scenario_files/kernel_profile_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "scenarios/runner/scenario_files/hardware_file.h"
#include "sim/cluster/test_hardware.h"
#include "sim/cost/kernel_costs.h"

namespace soapbox::runner {
namespace {

const std::string kScenarios = std::string(SOAPBOX_SOURCE_DIR) + "/scenarios";

class KernelProfileFile : public testing::Test {
 protected:
  KernelProfileFile() {
    folder_ = std::string(SOAPBOX_BINARY_DIR) + "/kernel_profile_test_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::ifstream file(kScenarios + "/profiles/kernel_profiles/A100-SXM4-80GB.toml");
    std::ostringstream text;
    text << file.rdbuf();
    good_ = text.str();
  }
  // The error of a shipped profile with one change, without the folder.
  std::string refusal(const std::string& from, const std::string& to) const {
    std::string text = good_;
    const size_t at = text.find(from);
    if (at == std::string::npos) return "nothing to change";
    std::ofstream(folder_ + "/x.toml") << text.replace(at, from.size(), to);
    const auto profile = read_kernel_profile(folder_ + "/x.toml");
    if (profile) return "accepted";
    return profile.error().to_string().substr(folder_.size() + 1);
  }
  std::string folder_;
  std::string good_;
};

TEST_F(KernelProfileFile, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(
      refusal("launch", "lanch"),
      testing::StartsWith("x.toml:4:1: unknown key 'lanch' in the file; did you mean 'launch'?"));
  EXPECT_THAT(refusal("ramp = ", "rump = "),
              testing::HasSubstr("unknown key 'rump' in [fp32_linear]; did you mean 'ramp'?"));
  EXPECT_THAT(refusal("[softmax]", "[softmix]"), testing::HasSubstr("did you mean 'softmax'?"));
}

// What is added to a factor may be negative, down to a factor of nothing.
TEST_F(KernelProfileFile, ReadsWhatBreakingSectorsAdds) {
  const std::string table = "[fp32_linear.unaligned]\n";
  const size_t at = good_.find(table);
  ASSERT_NE(at, std::string::npos);
  const size_t first = good_.find("values = [\n  ", at) + 13;
  const std::string value = good_.substr(first, good_.find(',', first) - first);
  good_.replace(first, value.size(), "-0.25");
  std::ofstream(folder_ + "/x.toml") << good_;
  const auto profile = read_kernel_profile(folder_ + "/x.toml");
  ASSERT_TRUE(profile) << profile.error().to_string();
  const FactorGrid& unaligned = profile->gemm[0].unaligned;
  EXPECT_EQ(unaligned.factors.size(), 18u);  // 2 x 3 x 3 nodes of m, n and k
  EXPECT_EQ(unaligned.factors.front(), -0.25);
  EXPECT_THAT(refusal("-0.25", "-1.25"), testing::HasSubstr("must be"));
}

TEST_F(KernelProfileFile, RefusesMissingUnitsAndWhatIsOutOfRange) {
  EXPECT_THAT(refusal("launch = \"3000 ns\"", "launch = 3"),
              testing::StartsWith("x.toml:4:10: 'launch' is an integer, 3; it must be a duration"));
  EXPECT_THAT(refusal("low = 0", "low = -0"), testing::HasSubstr("'low' is -0."));
  EXPECT_THAT(refusal("quantisation = 0.", "quantisation = 7."),
              testing::HasSubstr("it must be a number from 0 to 1"));
  EXPECT_THAT(refusal("{m = 128, n = 128", "{m = 100, n = 128"),
              testing::HasSubstr("'m' is 100; it must be a power of two"));
  EXPECT_THAT(refusal("role = [1, 1, 1]", "role = [1, 1]"),
              testing::HasSubstr("'role' has 2 values; it must have 3"));
  EXPECT_THAT(
      refusal("k = {first = 6, step = 2, count = 6}", "k = {first = 6, step = 2, count = 5}"),
      testing::HasSubstr("'values' has 216 numbers; the axes make 180 nodes"));
  EXPECT_THAT(refusal("measured_from = [1, ", "measured_from = [9, "),
              testing::HasSubstr("'measured_to' has 1 for batch, 'measured_from' 9"));
}

TEST_F(KernelProfileFile, RefusesTwoProfilesOfOneHardwareAndAFolderThatIsNone) {
  for (const char* name : {"/a.toml", "/b.toml"}) std::ofstream(folder_ + name) << good_;
  EXPECT_EQ(read_kernel_profiles(folder_).error().message,
            "a second kernel profile of hardware 'A100-SXM4-80GB'");
  EXPECT_THAT(read_kernel_profiles(folder_ + "/none").error().message,
              testing::StartsWith("cannot list the kernel profiles"));
}

// Kernels as they were measured, and what the shipped profiles say about them.
class ShippedKernelProfiles : public testing::Test {
 protected:
  ShippedKernelProfiles()
      : catalogue_(HardwareCatalogue::read(kScenarios + "/hardware/hardware.csv")),
        profiles_(read_kernel_profiles(kScenarios + "/profiles/kernel_profiles")) {
    SOAPBOX_CHECK(catalogue_.has_value() && profiles_.has_value(), "shipped files are good");
  }
  double microseconds_of(const std::string& hardware, const Kernel& kernel) const {
    const auto costs = KernelCosts::make(*catalogue_->find(hardware), &profiles_->at(hardware));
    SOAPBOX_CHECK(costs.has_value(), "the catalogue has the figures of profiled hardware");
    return costs->time(kernel).time.seconds() * 1e6;
  }
  static Kernel product(int64_t m, int64_t n, int64_t k, GemmRole role = GemmRole::kForward) {
    Kernel kernel;
    kernel.kind = KernelKind::kGemm;
    kernel.type = DataType::kFp16;
    kernel.gemm = {1, m, n, k};
    kernel.role = role;
    kernel.bytes = 2 * static_cast<double>(m * k + k * n + m * n);
    return kernel;
  }
  static Kernel attention(int64_t heads, int64_t seq_len, bool backward) {
    Kernel kernel;
    kernel.kind = KernelKind::kAttention;
    kernel.gemm = {heads, seq_len, seq_len, 128};
    kernel.causal = true;
    kernel.backward = backward;
    return kernel;
  }
  Result<HardwareCatalogue> catalogue_;
  Result<std::map<std::string, KernelProfile>> profiles_;
};

TEST_F(ShippedKernelProfiles, AreOfHardwareOfTheCatalogue) {
  EXPECT_GE(profiles_->size(), 17u);
  for (const auto& [name, profile] : *profiles_) {
    const auto hardware = catalogue_->find(name);
    ASSERT_TRUE(hardware) << hardware.error().to_string();
    EXPECT_TRUE(KernelCosts::make(*hardware, &profile)) << name;
  }
}

TEST_F(ShippedKernelProfiles, AreUsedForTheDevicesOfACluster) {
  Hardware unknown = *catalogue_->find("H100-SXM5-80GB");
  const Cluster measured = one_device(unknown);
  unknown.name = "H100-of-tomorrow";
  const Cluster future = one_device(unknown);
  const Kernel kernel = product(4096, 8192, 8192);
  const ScenarioFolder scenarios(kScenarios);
  const auto provenance = [&](const Cluster& cluster) {
    const auto costs = cluster_kernel_costs(scenarios, cluster);
    SOAPBOX_CHECK(costs.has_value(), costs.error().message.c_str());
    return (*costs)[HardwareId(0)].time(kernel).provenance;
  };
  EXPECT_EQ(provenance(measured), Provenance::kInterpolated);
  EXPECT_EQ(provenance(future), Provenance::kDatasheet);
}

// microsoft/vidur's profiles of Llama-2 layers (fp16), SuperScaler's of GPT on V100, SimuMax's of
// A100-PCIe and B200: scenarios/profiles/kernel_samples.
TEST_F(ShippedKernelProfiles, PredictMeasuredProducts) {
  const auto near = [&](const char* hardware, const Kernel& kernel, double measured_us,
                        double tolerance) {
    const double predicted_us = microseconds_of(hardware, kernel);
    EXPECT_NEAR(predicted_us / measured_us, 1, tolerance)
        << hardware << " " << kernel.gemm.m << "x" << kernel.gemm.n << "x" << kernel.gemm.k;
  };
  near("A100-SXM4-80GB", product(4096, 12288, 4096), 1899, 0.08);
  near("A100-SXM4-80GB", product(4096, 57344, 8192), 16037, 0.05);
  near("A100-SXM4-80GB", product(1024, 4096, 4096), 176, 0.10);
  near("A100-SXM4-80GB", product(16, 8192, 8192), 93, 0.15);
  near("H100-SXM5-80GB", product(4096, 22016, 4096), 993, 0.08);
  near("H100-SXM5-80GB", product(4096, 57344, 8192), 5709, 0.06);
  near("V100-SXM2-32GB", product(16384, 5120, 5120), 10086, 0.10);
  near("V100-SXM2-32GB", product(16384, 20480, 5120), 42675, 0.10);
  near("B200-SXM-180GB", product(32768, 53248, 16384), 53500, 0.05);
  near("A100-PCIe-80GB", product(4096, 5120, 1536, GemmRole::kInputGradient), 280, 0.08);
}

TEST_F(ShippedKernelProfiles, PredictMeasuredAttention) {
  EXPECT_NEAR(microseconds_of("A100-PCIe-80GB", attention(64, 4096, false)) / 1484, 1, 0.06);
  EXPECT_NEAR(microseconds_of("A100-PCIe-80GB", attention(64, 4096, true)) / 4383, 1, 0.06);
  EXPECT_NEAR(microseconds_of("B200-SXM-180GB", attention(64, 4096, true)) / 837, 1, 0.15);
  EXPECT_NEAR(microseconds_of("B200-SXM-180GB", attention(16, 131072, true)) / 189164, 1, 0.10);
}

// The best product that a search over shapes found (stas00/ml-engineering, bf16): no prediction may
// be much faster. None of them is among the fitted rows.
TEST_F(ShippedKernelProfiles, AreNotFasterThanTheFastestProductSeen) {
  const auto tflops = [&](const char* hardware, const Kernel& kernel) {
    return kernel.gemm.flops() / microseconds_of(hardware, kernel) * 1e-6;
  };
  EXPECT_LT(tflops("A100-SXM4-80GB", product(1024, 10240, 5120)), 271.2 * 1.03);
  EXPECT_LT(tflops("A100-PCIe-80GB", product(2048, 5120, 6144)), 252.9 * 1.03);
  EXPECT_LT(tflops("H100-SXM5-80GB", product(2048, 2048, 13312)), 794.5 * 1.03);
  EXPECT_LT(tflops("B200-SXM-180GB", product(1792, 16128, 3072)), 1745 * 1.03);
}

TEST_F(ShippedKernelProfiles, SayWhatTheyRestOn) {
  const auto time_on = [&](const char* hardware, const Kernel& kernel) {
    const auto costs = KernelCosts::make(*catalogue_->find(hardware), &profiles_->at(hardware));
    return costs->time(kernel);
  };
  const KernelTime own = time_on("H100-SXM5-80GB", product(4096, 8192, 8192));
  EXPECT_EQ(own.provenance, Provenance::kInterpolated);
  const KernelTime other = time_on("H100-PCIe-80GB", product(4096, 8192, 8192));
  EXPECT_EQ(other.provenance, Provenance::kCalibratedRoofline);
  EXPECT_GT(other.high, own.high);
  const KernelTime larger = time_on("H100-SXM5-80GB", product(65536, 8192, 8192));
  EXPECT_EQ(larger.provenance, Provenance::kCalibratedRoofline);
  EXPECT_GT(larger.high, own.high);
}

}  // namespace
}  // namespace soapbox::runner
