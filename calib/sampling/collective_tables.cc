#include "calib/sampling/collective_tables.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "calib/fits/collective_fit.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::calib {
namespace {

bool is_held_out(int64_t bytes) {
  return !std::has_single_bit(static_cast<uint64_t>(bytes));
}

// The switches of such nodes add up as those of the shipped profile do.
int64_t switch_reduction_ranks(const std::string& hardware) {
  for (const FittedLibrary& library : fitted_libraries()) {
    if (std::ranges::find(library.hardware, hardware) != library.hardware.end()) {
      return library.switch_reduction_ranks;
    }
  }
  return 0;
}

std::string to_csv(const CollectiveSamples& samples) {
  std::string text = "split,system,op,ranks_per_node,nodes,bytes,time_us\n";
  for (const CollectiveSample& row : samples.rows) {
    text +=
        str_cat(row.held_out ? "test," : "fit,", samples.systems[row.system].name, ",",
                collective_row(row.op).op_name, ",", row.shape.ranks_per_node, ",", row.shape.nodes,
                ",", row.bytes.count(), ",", to_digits(row.seconds * 1e6, 6), "\n");
  }
  return text;
}

}  // namespace

CollectiveSamples collective_samples(const SampleFile& file, const Fabric& fabric) {
  const std::string& id = file.header.processor.id;
  CollectiveSamples samples{{{id, id, fabric, false}}, {}};
  for (const Sample& sample : file.samples) {
    const auto* one = std::get_if<Collective>(&sample.point.what);
    if (one == nullptr || one->ranks > fabric.devices_per_node) continue;
    samples.rows.push_back({0,
                            one->op,
                            {.ranks_per_node = one->ranks},
                            Bytes(one->bytes),
                            median(sample.measured.cold_s),
                            is_held_out(one->bytes)});
  }
  std::ranges::sort(samples.rows, {}, [](const CollectiveSample& row) {
    return std::tuple(row.shape.ranks_per_node, row.op, row.bytes);
  });
  return samples;
}

std::vector<NamedText> collective_texts(const SampleFile& file, const Fabric& fabric,
                                        const CollectiveProfile& network) {
  const CollectiveSamples samples = collective_samples(file, fabric);
  if (samples.rows.empty()) return {};
  const std::string& id = file.header.processor.id;
  const std::string source = str_cat(file.header.library, " on one node, ", file.header.started_at);
  const FittedLibrary library{id, {id}, switch_reduction_ranks(id), source, fabric.near_type};
  const CollectiveFit fit = fit_collectives(samples, library, &network);
  return {{str_cat("profiles/collectives/", id, ".toml"), to_toml(fit, library)},
          {str_cat("profiles/collectives/samples/", id, ".csv"), to_csv(samples)}};
}

}  // namespace soapbox::calib
