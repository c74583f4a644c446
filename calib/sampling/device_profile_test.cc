#include "calib/sampling/device_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <tuple>

#include "calib/sampling/device_tables.h"

#include "calib/sampling/device_tables.h"

namespace soapbox::calib {
namespace {

using testing::HasSubstr;

constexpr const char* kShipped = "AMD-EPYC-25-17";

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::string kScenarios = SOAPBOX_SOURCE_DIR "/scenarios/";

SampleFile shipped(const std::string& name = kShipped) {
  const std::string path = kScenarios + "profiles/samples/" + name + ".jsonl";
  return *parse_samples(read(path), path);
}

TEST(DeviceProfile, ShippedFilesFollowFromTheShippedSamplesByteForByte) {
  const Result<DeviceProfile> profile = make_device_profile(shipped());
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->cluster, "cpu_2");
  for (const NamedText& file : profile->files) {
    const std::string text = read(kScenarios + file.path);
    if (file.path != "hardware/hardware.csv") {
      EXPECT_EQ(text, file.text) << file.path;
      continue;
    }
    const size_t header = file.text.find('\n') + 1;  // a row of the shipped catalogue
    EXPECT_EQ(text.substr(0, header), file.text.substr(0, header));
    EXPECT_THAT(text, HasSubstr(file.text.substr(header)));
  }
}

// Of a GPU, relative to its datasheet's row; the row itself and the cluster's name are the
// catalogue's.
TEST(DeviceProfile, ShippedFilesOfAGpuFollowFromItsSamples) {
  Hardware datasheet;
  datasheet.name = "H200-SXM-141GB";
  datasheet.fp32_peak = tflops_per_s(66.9);
  datasheet.memory_bandwidth = gb_per_s(4800);
  datasheet.sm_count = 132;
  const Result<DeviceProfile> profile = make_device_profile(shipped(datasheet.name), &datasheet);
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->cluster, "gpu_1");
  size_t compared = 0;
  for (const NamedText& file : profile->files) {
    if (file.path.starts_with("clusters/")) continue;
    EXPECT_EQ(read(kScenarios + file.path), file.text) << file.path;
    ++compared;
  }
  EXPECT_EQ(compared, 9U);  // profile, fit, measured, launches, four tables of kernels, links
}

// The time of every measured piece, in microseconds.
std::vector<double> measured_us(const SampleFile& file, LaunchMode mode) {
  const Result<DeviceProfile> profile = make_device_profile(file, nullptr, mode);
  EXPECT_TRUE(profile) << profile.error().message;
  std::vector<double> times;
  for (const NamedText& text : profile->files) {
    if (!text.path.starts_with("profiles/measured/")) continue;
    std::istringstream lines(text.text);
    std::string line;
    std::getline(lines, line);  // the header
    while (std::getline(lines, line)) times.push_back(std::stod(line.substr(line.rfind(',') + 1)));
  }
  return times;
}

TEST(DeviceProfile, WhereTheHostWaitsForEveryKernelEachCostsThatMuchMore) {
  SampleFile file = shipped("H200-SXM-141GB");
  file.header.launched_dispatch_s = 1e-6;
  const std::vector<double> launched = measured_us(file, LaunchMode::kStream);
  EXPECT_EQ(measured_us(file, LaunchMode::kWait), launched);  // samples that do not say
  file.header.waited_dispatch_s = 11e-6;
  const std::vector<double> waited = measured_us(file, LaunchMode::kWait);
  ASSERT_EQ(waited.size(), launched.size());
  EXPECT_GT(waited.size(), 1000U);
  for (size_t i = 0; i < waited.size(); ++i) {
    EXPECT_NEAR(waited[i] - launched[i], 10, 1e-5 * waited[i]);  // six digits
  }
}

// What the host spends on launching stands in a table of its own, whatever a piece costs the
// device.
TEST(DeviceProfile, LaunchesStandApart) {
  SampleFile file = shipped("H200-SXM-141GB");
  for (Sample& sample : file.samples) sample.measured.launch_s = 1;  // second
  const Result<DeviceProfile> profile = make_device_profile(file, nullptr, LaunchMode::kStream);
  ASSERT_TRUE(profile) << profile.error().message;
  for (const NamedText& text : profile->files) {
    if (!text.path.starts_with("profiles/launches")) {
      EXPECT_THAT(text.text, testing::Not(HasSubstr(",1e+06\n"))) << text.path;
      continue;
    }
    size_t rows = 0;
    for (size_t at = text.text.find('\n'); at + 1 < text.text.size(); ++rows) {
      const size_t end = text.text.find('\n', at + 1);
      EXPECT_THAT(text.text.substr(at + 1, end - at - 1), testing::EndsWith(",1e+06"));
      at = end;
    }
    EXPECT_GT(rows, 1000U);
  }
}

TEST(DeviceProfile, TheOrderOfMeasuringDoesNotMatter) {
  SampleFile file = shipped();
  const DeviceProfile forward = *make_device_profile(file);
  std::reverse(file.samples.begin(), file.samples.end());
  const DeviceProfile backward = *make_device_profile(file);
  for (size_t i = 0; i < forward.files.size(); ++i) {
    EXPECT_EQ(forward.files[i].text, backward.files[i].text) << forward.files[i].path;
  }
}

Sample sample_of(Measurable what, double seconds) {
  Sample sample;
  sample.point = {"test", std::move(what)};
  sample.measured.cold_s = {seconds};
  sample.measured.hot_s = {seconds};
  return sample;
}

// Times made by a roofline of known figures are found again, held-out ones included.
TEST(DeviceProfile, AFitFindsTheRooflineThatMadeTheTimes) {
  SampleFile file;
  file.header.processor.id = "made-up";
  file.header.processor.memory_bytes = int64_t{8} << 30;
  for (int64_t bytes = 4096; bytes <= 64 << 20; bytes *= 2) {
    const Stream copy{StreamWork::Kind::kCopy, bytes, 1};  // 2 us + two passes at 10 GB/s
    file.samples.push_back(sample_of(copy, 2e-6 + 2 * static_cast<double>(bytes) / 10e9));
  }
  for (int64_t m = 64; m <= 1024; m *= 2) {
    for (int64_t k = 64; k <= 1024; k *= 2) {
      Piece linear;
      linear.extents = {m, 256, k};
      const double flops = 2.0 * static_cast<double>(m) * 256 * static_cast<double>(k);
      file.samples.push_back(sample_of(linear, 2e-6 + flops / 50e9));
    }
  }
  const Result<DeviceProfile> profile = make_device_profile(file);
  ASSERT_TRUE(profile) << profile.error().message;
  ASSERT_EQ(profile->families.size(), 2U);
  const FamilyFit& stream = profile->families[0];
  EXPECT_EQ(stream.fitted + stream.held_out, 15U);
  EXPECT_EQ(stream.held_out, 3U);
  EXPECT_TRUE(stream.interval_is_rough);  // ceil(0.9 x 4) = 4 of 3
  EXPECT_EQ(stream.least_flops, 2 * 4096);
  EXPECT_LT(stream.held_out_mape, 0.03);
  EXPECT_LT(profile->families[1].held_out_mape, 0.05);
  EXPECT_EQ(profile->families[1].most_flops, 2.0 * 1024 * 256 * 1024);
}

// y = x W with 3 samples, 5 output and 7 input channels; dx = dy W^T sums over the outputs and
// dW = dy^T x over the samples. Kernel profiles are fitted to the sides of each product itself.
TEST(DeviceTables, TheRowOfAGradientIsItsOwnProduct) {
  std::vector<Sample> samples;
  for (const Phase phase : {Phase::kForward, Phase::kBackwardInput, Phase::kBackwardWeight}) {
    Piece linear;
    linear.phase = phase;
    linear.extents = {3, 5, 7};
    samples.push_back(sample_of(linear, 1e-6));
  }
  const std::vector<NamedText> texts =
      kernel_texts("made-up", {&samples[0], &samples[1], &samples[2]});
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(texts[0].path, "profiles/kernel_samples/made-up_fp32_linear.csv");
  EXPECT_EQ(texts[0].text,
            "split,role,batch,m,n,k,accumulate,time_us\n"
            "train,forward,1,3,5,7,0,1\n"
            "train,input_gradient,1,3,7,5,0,1\n"
            "train,weight_gradient,1,5,7,3,0,1\n");
}

TEST(DeviceProfile, TooFewSamplesAreRefused) {
  SampleFile file = shipped();
  file.samples.resize(3);
  const Result<DeviceProfile> profile = make_device_profile(file);
  ASSERT_FALSE(profile);
  EXPECT_THAT(profile.error().message, HasSubstr("give the calibration more time"));
}

TEST(SampleFile, ALineReadsBackAsItWas) {
  SampleFile file = shipped();
  Piece conv;
  conv.kind = OpKind::kConv2d;
  conv.extents = {1, 2, 3, 4, 5};
  conv.kernel_h = 7;
  conv.kernel_w = 1;
  conv.stride = 2;
  conv.phase = Phase::kBackwardWeight;
  Sample sample = sample_of(conv, 12.345e-6);
  Sample anchor = sample_of(Stream{StreamWork::Kind::kSum, 4096, 3}, 1e-3);
  anchor.anchor = true;
  file.header.topology = "<system version=\"1\">\n</system>\n";
  file.header.relations = {"X", "NV18"};
  Sample collective = sample_of(Collective{CollectiveOp::kAllToAll, 8, 3072}, 9e-6);
  collective.measured.hot_s.clear();
  const Sample copy = sample_of(Stream{StreamWork::Kind::kToPeer, 4096, 1, 1}, 1e-5);
  const std::string text = to_line(file.header) + to_line(sample) + to_line(anchor) +
                           to_line(collective) + to_line(copy);
  const Result<SampleFile> read_back = parse_samples(text + "{\"probe\":", "s.jsonl");
  ASSERT_TRUE(read_back) << read_back.error().to_string();  // the last line was cut
  EXPECT_EQ(to_line(read_back->header) + to_line(read_back->samples.at(0)) +
                to_line(read_back->anchors.at(0)) + to_line(read_back->samples.at(1)) +
                to_line(read_back->samples.at(2)),
            text);
  EXPECT_TRUE(std::get<Piece>(read_back->samples[0].point.what) == conv);
}

// Two GPUs of different kinds of neighbours: 2 us and 40 GB/s, 5 us and 10 GB/s.
TEST(DeviceProfile, CopiesToOtherGpusAreFittedByHowTheyAreJoined) {
  SampleFile file;
  file.header.relations = {"X", "NV18", "NV18", "SYS"};
  file.header.topology = "<system/>";
  for (const auto& [peer, alpha_s, rate] : {std::tuple(1, 2e-6, 40e9), std::tuple(3, 5e-6, 10e9)}) {
    for (int64_t bytes = 4096; bytes <= 1 << 30; bytes *= 4) {
      const double seconds = alpha_s + static_cast<double>(bytes) / rate;
      file.samples.push_back(sample_of(Stream{StreamWork::Kind::kToPeer, bytes, 1, peer}, seconds));
      file.samples.push_back(
          sample_of(Stream{StreamWork::Kind::kBothWaysPeer, bytes, 1, peer}, 2 * seconds));
    }
  }
  std::vector<const Sample*> samples;
  for (const Sample& sample : file.samples) samples.push_back(&sample);
  const std::string text = link_toml(file, samples);
  EXPECT_THAT(text, HasSubstr("[peer_NV18]"));
  EXPECT_THAT(text, HasSubstr("alpha = \"2 us\", bandwidth = \"40 GB/s\""));
  EXPECT_THAT(text, HasSubstr("[peer_NV18_both_ways]"));
  EXPECT_THAT(text, HasSubstr("alpha = \"4 us\", bandwidth = \"20 GB/s\""));
  EXPECT_THAT(text, HasSubstr("[peer_SYS]"));
  EXPECT_THAT(text, HasSubstr("alpha = \"5 us\", bandwidth = \"10 GB/s\""));
}

TEST(SampleFile, WhatIsWrongIsSaidWithItsLine) {
  const std::string header = to_line(shipped().header);
  const auto error_of = [&](const std::string& text) {
    const Result<SampleFile> file = parse_samples(text, "s.jsonl");
    return file ? "" : file.error().to_string();
  };
  const std::string good =
      R"({"probe":"p","kind":"linear","phase":"forward","extents":[1,2,3],"inputs":1,"at_s":0,)"
      R"("disturbed":0,"cold_ns":[5],"hot_ns":[5]})"
      "\n";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return header + text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(error_of(header + good), "");
  EXPECT_EQ(error_of(""), "s.jsonl: no samples: the file is empty");
  EXPECT_EQ(error_of(header), "s.jsonl: no samples: only a header");
  EXPECT_THAT(error_of(good), HasSubstr("s.jsonl:1: the first line must be a header"));
  EXPECT_EQ(error_of(with("linear", "lineal")), "s.jsonl:2: unknown kind 'lineal'");
  EXPECT_EQ(error_of(with("forward", "sideways")), "s.jsonl:2: unknown phase 'sideways'");
  EXPECT_EQ(error_of(with("[5]", "[-5]")), "s.jsonl:2: times must be positive");
  EXPECT_EQ(error_of(with("[1,2,3]", "[1]")), "s.jsonl:2: 2 to 6 extents");
  EXPECT_THAT(error_of(with("\"at_s\":0", "\"at\":0")),
              HasSubstr("s.jsonl:2: key 'at_s' not found"));
  EXPECT_THAT(error_of(with("}", "")), HasSubstr("s.jsonl:2: parse error"));
}

TEST(Cores, AProcessorIsNamedByItsFamilyAndModel) {
  const Processor processor = parse_processor(
      "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
      "model name\t: Intel(R) Xeon(R) Platinum 8480+\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\n");
  EXPECT_EQ(processor.id, "Intel-R-Xeon-R-Platinum-8480-6-143");
  EXPECT_EQ(processor.name, "Intel(R) Xeon(R) Platinum 8480+");
  EXPECT_EQ(processor.clock_mhz, 2000.5);
  EXPECT_EQ(parse_processor("").name, "unknown processor");
  EXPECT_GE(this_processor().cores, 1U);
}

}  // namespace
}  // namespace soapbox::calib
