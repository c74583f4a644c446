#include "calib/probes/probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/model/models.h"

namespace soapbox::calib {
namespace {

bool same_work(const Work& a, const Work& b) {
  return a.product == b.product && a.kind == b.kind && a.products == b.products &&
         a.product_bytes == b.product_bytes && a.stream_bytes == b.stream_bytes &&
         a.kernels == b.kernels;
}

TEST(Probe, EveryProbeHasPointsAndEveryPointWork) {
  std::set<std::string> probes;
  for (const bool gpu : {false, true}) {
    ProbeScope scope{.quick = true, .gpu = gpu};
    if (gpu) {
      scope.gpus = 2;
      scope.peers = {1};
    }
    for (const ProbePoint& point : probe_points(scope, 1)) {
      const auto* stream = std::get_if<Stream>(&point.what);
      const bool is_piece = std::holds_alternative<Piece>(point.what);
      const bool is_pass = is_piece || (stream != nullptr && stream->is_pass());
      EXPECT_EQ(work_of(point).kernels > 0, is_pass) << point.probe;
      const bool loopback = stream != nullptr && stream->kind == StreamWork::Kind::kLoopback;
      EXPECT_TRUE(is_pass || gpu || loopback) << "a core has no memory of its own";
      probes.insert(point.probe);
    }
  }
  std::set<std::string> rows;
  for (const ProbeRow& row : probe_table()) rows.emplace(row.name);
  EXPECT_EQ(probes, rows);
  EXPECT_TRUE(std::is_sorted(probe_table().begin(), probe_table().end(),
                             [](const ProbeRow& a, const ProbeRow& b) { return a.name < b.name; }));
}

TEST(Probe, ASeedSaysWhatIsMeasuredAndQuickMeasuresLess) {
  const auto sizes = [](bool quick, uint64_t seed) {
    std::vector<Measurable> what;
    for (const ProbePoint& point : probe_points({.quick = quick}, seed)) what.push_back(point.what);
    return what;
  };
  EXPECT_EQ(sizes(true, 1), sizes(true, 1));
  EXPECT_NE(sizes(true, 1), sizes(true, 2));
  EXPECT_LT(2 * sizes(true, 1).size(), sizes(false, 1).size());
}

TEST(Probe, SeveralGpusGiveCollectivesOfPowersOfTwoAndOfAll) {
  std::set<int64_t> ranks;
  std::set<int64_t> peers;
  std::set<int64_t> sizes;
  for (const ProbePoint& point : probe_points({.gpu = true, .gpus = 6, .peers = {1, 4}}, 1)) {
    if (const auto* collective = std::get_if<Collective>(&point.what)) {
      ranks.insert(collective->ranks);
      sizes.insert(collective->bytes);
    } else if (point.probe == "peer_copy") {
      peers.insert(std::get<Stream>(point.what).peer);
    }
  }
  EXPECT_EQ(ranks, (std::set<int64_t>{2, 4, 6}));
  EXPECT_EQ(peers, (std::set<int64_t>{1, 4}));
  EXPECT_EQ(*sizes.begin(), 1 << 10);
  EXPECT_EQ(*sizes.rbegin(), 1 << 30);
  for (const ProbePoint& point : probe_points({.gpu = true}, 1)) {
    EXPECT_FALSE(std::holds_alternative<Collective>(point.what) || point.probe == "peer_copy");
  }
}

// A piece carries everything that its work depends on: cut out of its model it is the same work.
TEST(Probe, APieceOfAModelIsTheWorkOfItsOperator) {
  for (const char* const name : {"lenet", "nmt", "inception_v3"}) {
    const Result<Model> model = build_model(name, 4);
    ASSERT_TRUE(model);
    const std::vector<ProbePoint> points = model_points(*model, 2);
    for (const Operator& op : model->graph.ops()) {
      if (op.kind == OpKind::kInput) continue;
      Extents whole = {1, 1, 1, 1, 1, 1};
      for (size_t dim = 0; dim < op.dims.size(); ++dim) whole[dim] = op.dims[dim].size;
      const Work expected = work_of(op, whole).forward;
      const bool found = std::any_of(points.begin(), points.end(), [&](const ProbePoint& point) {
        const auto* piece = std::get_if<Piece>(&point.what);
        return piece != nullptr && piece->kind == op.kind && extents_of(*piece) == whole &&
               piece->phase == Phase::kForward && same_work(work_of(*piece), expected);
      });
      EXPECT_TRUE(found) << name << " " << op.name;
    }
  }
}

TEST(Probe, ModelsGiveTheirSplitsAndUpdates) {
  const Result<Model> model = build_model("lenet", 4);
  size_t halves = 0;
  size_t updates = 0;
  for (const ProbePoint& point : model_points(*model, 2)) {
    if (const auto* piece = std::get_if<Piece>(&point.what)) {
      halves += piece->kind == OpKind::kConv2d && piece->extents[0] == 2 ? 1 : 0;
    } else {
      ++updates;
    }
  }
  EXPECT_EQ(halves, 5U);   // two convolutions, three phases; images need no gradient
  EXPECT_EQ(updates, 5U);  // LeNet has five weights
}

}  // namespace
}  // namespace soapbox::calib
