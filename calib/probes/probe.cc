#include "calib/probes/probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

// Every vector of power-of-two degrees with a product of at most `left`, as extents of a piece.
void for_all_pieces(const Operator& op, size_t dim, int64_t left, Extents& extents,
                    std::set<Extents>& out) {
  if (dim == op.dims.size()) {
    out.insert(extents);
    return;
  }
  const bool splits = op.dims[dim].divisible && op.dims[dim].dim_class != DimClass::kReduction;
  for (int64_t degree = 1; degree <= (splits ? left : 1); degree *= 2) {
    if (op.dims[dim].size % degree != 0) break;
    extents[dim] = op.dims[dim].size / degree;
    for_all_pieces(op, dim + 1, left / degree, extents, out);
  }
}

}  // namespace

Work work_of(const Stream& stream) {
  const double bytes = static_cast<double>(stream.bytes);
  switch (stream.kind) {
    case StreamWork::Kind::kUpdate:
      return update_work(bytes);
    case StreamWork::Kind::kSum:
      return sum_work(bytes, stream.inputs);
    case StreamWork::Kind::kCopy:
      return sum_work(bytes, 1);  // read one, write one
    default:
      return {};
  }
  SOAPBOX_CHECK(false, "a kind of stream");
}

Work work_of(const Collective&) {
  return {};
}

Work work_of(const ProbePoint& point) {
  return std::visit([](const auto& what) { return work_of(what); }, point.what);
}

std::span<const ProbeRow> probe_table() {
  static constexpr std::array<ProbeRow, 16> kProbes = {{
      {"attention", "scores, softmax and sum: batched products", probe_attention},
      {"collective", "collectives of 2, 4, .. GPUs by size", probe_collective},
      {"conv", "convolutions of image networks, each gradient apart", probe_conv},
      {"elementwise", "additions and activations", probe_elementwise},
      {"embedding", "rows of a table, gathered and scattered", probe_embedding},
      {"host_copy", "copies between host and device: pinned, pageable, both ways", probe_host_copy},
      {"launch", "a kernel that does nothing", probe_launch},
      {"linear", "products of linear layers, each gradient apart", probe_linear},
      {"loopback", "bytes over a loopback TCP connection", probe_loopback},
      {"lstm", "cells of one and of several steps", probe_lstm},
      {"memory", "copies, sums of gradients, optimiser steps", probe_memory},
      {"normalisation", "layer normalisation", probe_normalisation},
      {"overlap", "a product and a copy to the device at the same time", probe_overlap},
      {"peer_copy", "copies from GPU to GPU, one way and both ways", probe_peer_copy},
      {"pool", "pooling", probe_pool},
      {"softmax", "softmax over classes", probe_softmax},
  }};
  return kProbes;
}

std::vector<ProbePoint> probe_points(const ProbeScope& scope, uint64_t seed) {
  std::vector<ProbePoint> points;
  uint64_t stream = 0;
  for (const ProbeRow& row : probe_table()) {
    Rng rng(seed, stream++);
    std::vector<Measurable> found;
    row.points(scope, rng, found);
    for (auto& what : found) {
      ProbePoint point{std::string(row.name), std::move(what)};
      const auto* stream_point = std::get_if<Stream>(&point.what);
      const bool is_piece = std::holds_alternative<Piece>(point.what);
      const bool has_work = is_piece || (stream_point != nullptr && stream_point->is_pass());
      if (!has_work || work_of(point).kernels > 0) points.push_back(std::move(point));
    }
  }
  return points;
}

std::vector<ProbePoint> model_points(const Model& model, int64_t most_pieces) {
  std::set<Piece> pieces;
  std::set<Stream> streams;
  for (const Operator& op : model.graph.ops()) {
    if (op.kind == OpKind::kInput) continue;
    std::set<Extents> all;
    Extents extents = {1, 1, 1, 1, 1, 1};
    for_all_pieces(op, 0, most_pieces, extents, all);
    for (const Extents& one : all) {
      const PieceWork work = work_of(op, one);
      if (work.forward.kernels > 0) pieces.insert(piece_of(op, one, Phase::kForward));
      if (work.backward_input.kernels > 0) {
        pieces.insert(piece_of(op, one, Phase::kBackwardInput));
      }
      if (work.backward_weight.kernels > 0) {
        pieces.insert(piece_of(op, one, Phase::kBackwardWeight));
      }
    }
  }
  for (const Weight& weight : model.graph.weights()) {
    streams.insert({StreamWork::Kind::kUpdate, weight.gradient_size().count(), 2});
  }
  std::vector<ProbePoint> points;
  const std::string probe = str_cat("model ", model.name);
  for (const Piece& piece : pieces) points.push_back({probe, piece});
  for (const Stream& stream : streams) points.push_back({probe, stream});
  return points;
}

void add_phases(Piece piece, std::vector<Measurable>& out) {
  for (const Phase phase : {Phase::kForward, Phase::kBackwardInput, Phase::kBackwardWeight}) {
    piece.phase = phase;
    out.emplace_back(piece);
  }
}

int64_t log_uniform(int64_t low, int64_t high, Rng& rng) {
  const double span = std::log2(static_cast<double>(high) / static_cast<double>(low));
  return std::llround(static_cast<double>(low) * std::exp2(rng.uniform() * span));
}

}  // namespace soapbox::calib
