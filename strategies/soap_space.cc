#include "strategies/soap_space.h"

#include <algorithm>
#include <map>

namespace soapbox::strategies {
namespace {

// Per dimension its size, or 1 where it cannot be split: all that the degree vectors depend on.
using Shape = std::array<int64_t, kMaxDims>;

Shape shape_of(const Operator& op) {
  Shape shape;
  shape.fill(1);
  for (size_t d = 0; d < op.dims.size(); ++d) {
    const Dim& dim = op.dims[d];
    if (dim.divisible && dim.dim_class != DimClass::kReduction) shape[d] = dim.size;
  }
  return shape;
}

std::vector<Degrees> enumerate(const Shape& shape, size_t task_limit) {
  Degrees ones;
  ones.fill(1);
  std::vector<Degrees> vectors = {ones};
  for (size_t d = 0; d < kMaxDims; ++d) {
    const size_t count = vectors.size();
    for (size_t v = 0; v < count; ++v) {
      const size_t limit = task_limit / product(vectors[v]);
      for (int32_t degree = 2; static_cast<size_t>(degree) <= limit; ++degree) {
        if (shape[d] % degree != 0) continue;
        Degrees degrees = vectors[v];
        degrees[d] = degree;
        vectors.push_back(degrees);
      }
    }
  }
  std::sort(vectors.begin(), vectors.end(), [](const Degrees& a, const Degrees& b) {
    const size_t tasks_a = product(a);
    const size_t tasks_b = product(b);
    return tasks_a != tasks_b ? tasks_a < tasks_b : a < b;
  });
  return vectors;
}

}  // namespace

size_t product(const Degrees& degrees) {
  size_t tasks = 1;
  for (const int32_t degree : degrees) tasks *= static_cast<size_t>(degree);
  return tasks;
}

SoapSpace::SoapSpace(const OpGraph& graph, size_t device_count) : device_count_(device_count) {
  SOAPBOX_CHECK(device_count > 0, "a space needs at least one device");
  std::map<Shape, size_t> known;
  for (const OpId id : graph.ops().ids()) {
    const Operator& op = graph.op(id);
    if (op.kind != OpKind::kInput) operators_.push_back(id);
    const Shape shape = shape_of(op);
    const auto [found, is_new] = known.try_emplace(shape, shapes_.size());
    if (is_new) shapes_.push_back(enumerate(shape, device_count));
    shape_of_.push_back(found->second);
  }
}

OpConfig SoapSpace::draw(OpId op, Rng& rng) const {
  const std::span<const Degrees> choices = degrees(op);
  OpConfig config;
  config.degrees = choices[rng.below(static_cast<uint32_t>(choices.size()))];
  const size_t tasks = product(config.degrees);
  config.devices.reserve(tasks);
  for (size_t t = 0; t < tasks; ++t) config.devices.push_back(draw_device(rng));
  return config;
}

}  // namespace soapbox::strategies
