// From a library with known alpha and beta, by a session and its file, to a profile that has them.
#include "calib/sampling/collective_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calib/backend/test_device.h"
#include "calib/fits/collective_fit.h"
#include "calib/sampling/session.h"

namespace soapbox::calib {
namespace {

using testing::HasSubstr;

// What a collective of `ranks` takes: 8 us, 2 more for each rank, and 300 GB/s of each rank.
double known_alpha_s(int64_t ranks) {
  return 8e-6 + 2e-6 * static_cast<double>(ranks);
}
constexpr double kKnownBeta_s = 1 / 300e9;

// A library on so many GPUs that says how long it took, without taking it.
class KnownGroup : public CollectiveGroup {
 public:
  explicit KnownGroup(int64_t ranks) : ranks_(ranks) {}
  Result<double> run(CollectiveOp op, Bytes bytes, int64_t times) override {
    if (op == CollectiveOp::kAllToAll) return Error{ErrorCode::kEnvironment, "NCCL: refused", {}};
    const double connecting_s = std::exchange(connected_, true) ? 0 : 0.5;
    const double one_s = known_alpha_s(ranks_) + bytes.as_double() * kKnownBeta_s;
    return connecting_s + static_cast<double>(times) * one_s * (1 + 0.002 * std::sin(++calls_));
  }

 private:
  int64_t ranks_;
  bool connected_ = false;
  double calls_ = 0;
};

class KnownModule : public KernelModule {
 public:
  explicit KnownModule(int64_t gpus) : gpus_(gpus) {}
  std::string library() const override { return "a known library"; }
  KernelDevice* device() override { return &device_; }
  void enter_thread() override {}
  Result<std::unique_ptr<PreparedKernel>> prepare(const Operator&, const Extents&, Phase) override {
    return Error{ErrorCode::kEnvironment, "no kernels", {}};
  }
  Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork&) override {
    return Error{ErrorCode::kEnvironment, "no kernels", {}};
  }
  Result<std::unique_ptr<CollectiveGroup>> collectives(int64_t ranks, Bytes) override {
    if (ranks > gpus_) return Error{ErrorCode::kUnavailable, "too few GPUs", {}};
    return std::unique_ptr<CollectiveGroup>(std::make_unique<KnownGroup>(ranks));
  }

 private:
  int64_t gpus_;
  NoDevice device_;
};

std::vector<ProbePoint> collective_points(int64_t gpus) {
  std::vector<ProbePoint> points = probe_points({.quick = true, .gpu = true, .gpus = gpus}, 1);
  std::erase_if(points, [](const ProbePoint& point) { return point.probe != "collective"; });
  return points;
}

SampleHeader header_of_h100() {
  SampleHeader header;
  header.processor.id = "H100-SXM5-80GB";
  header.processor.memory_bytes = 1;
  header.sm_count = 132;
  header.library = "a known library";
  header.started_at = "2026-01-01T00:00:00Z";
  return header;
}

// What is measured of a node of `there` GPUs where `asked` were thought to be.
std::string session_text(int64_t asked, int64_t there, SessionOutcome& outcome) {
  std::string text;
  SessionSpec spec;
  spec.quick = true;
  spec.write = [&](const std::string& line) {
    text += line;
    return ok();
  };
  KnownModule module(there);
  const Result<SessionOutcome> done =
      run_session(module, collective_points(asked), header_of_h100(), spec);
  EXPECT_TRUE(done) << done.error().message;
  outcome = *done;
  return text;
}

Fabric fabric_of(int64_t devices) {
  Fabric fabric;
  const auto count = static_cast<size_t>(devices) + 1;
  fabric.devices_per_node = devices;
  fabric.near_type = "nvlink";
  fabric.near_latency = 0.6e-6;
  fabric.near_pair = 396e9;
  fabric.near_ring.assign(count, 396e9);
  fabric.near_exchange.assign(count, 396e9);
  fabric.far_bandwidth.assign(count, 50e9);
  fabric.far_latency = {0, 3e-6};
  fabric.far_share = {1};
  return fabric;
}

TEST(CollectiveTables, TheProfileOfAKnownLibraryHasItsAlphaAndBeta) {
  SessionOutcome outcome;
  const std::string text = session_text(4, 4, outcome);
  // 5 collectives, one refused, among 2 and 4 ranks: 11 powers of 4 and 5 sizes between.
  EXPECT_EQ(outcome.measured, 4U * 2 * 16);
  EXPECT_EQ(outcome.refused, 2U * 16);
  EXPECT_EQ(outcome.first_refusal, "NCCL: refused");
  const Result<SampleFile> file = parse_samples(text, "s.jsonl");
  ASSERT_TRUE(file) << file.error().to_string();
  const CollectiveSamples samples = collective_samples(*file, fabric_of(4));
  ASSERT_EQ(samples.rows.size(), outcome.measured);
  const CollectiveProfile network = public_constants(true);
  const CollectiveFit fit = fit_collectives(samples, {"known", {"X"}, 0, "s"}, &network);
  ASSERT_EQ(fit.profile.curves.size(), 8U);
  for (const CollectiveCurve& curve : fit.profile.curves) {
    const AlphaBetaSegment& first = curve.times.segments().front();
    const AlphaBetaSegment& last = curve.times.segments().back();
    EXPECT_NEAR(first.alpha_s / known_alpha_s(curve.ranks), 1, 0.01);
    EXPECT_NEAR(last.beta_s_per_byte / kKnownBeta_s, 1, 0.01);
    EXPECT_LT(curve.error, 0.01);  // of the sizes held out
  }
  for (const ShapeReport& report : fit.reports) EXPECT_EQ(report.held_out_rows, 5U);
}

TEST(CollectiveTables, TheirFilesAreNamedByTheGpuAndFollowFromTheSamples) {
  SessionOutcome outcome;
  const Result<SampleFile> file = parse_samples(session_text(2, 2, outcome), "s.jsonl");
  const CollectiveProfile network = public_constants(true);
  const std::vector<NamedText> texts = collective_texts(*file, fabric_of(2), network);
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0].path, "profiles/collectives/H100-SXM5-80GB.toml");
  EXPECT_THAT(texts[0].text, HasSubstr("hardware = [\"H100-SXM5-80GB\"]\n"
                                       "source = \"a known library on one node, 2026-01"));
  EXPECT_THAT(texts[0].text, HasSubstr("op = \"broadcast\"\nranks = 2\nlink_gb_per_s = 396\n"));
  EXPECT_EQ(texts[1].path, "profiles/collectives/samples/H100-SXM5-80GB.csv");
  EXPECT_THAT(texts[1].text, HasSubstr("\nfit,H100-SXM5-80GB,all_reduce,2,1,1024,12.0"));
  EXPECT_THAT(texts[1].text, HasSubstr("\ntest,H100-SXM5-80GB,all_reduce,2,1,3072,12.0"));
}

TEST(CollectiveTables, TooFewGpusAreRefusedWithTheReasonAndTheRestIsMeasured) {
  SessionOutcome outcome;
  session_text(8, 4, outcome);
  EXPECT_EQ(outcome.measured, 4U * 2 * 16);
  EXPECT_EQ(outcome.refused, 2U * 16 + 5 * 16);
  EXPECT_EQ(outcome.left_out, 0U);
}

}  // namespace
}  // namespace soapbox::calib
