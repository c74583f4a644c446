#include "scenarios/runner/graphviz.h"

#include <map>
#include <set>
#include <vector>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

// "sample/4 channel/2"; empty where nothing is split.
std::string degrees_text(const Operator& op, const OpConfig& config) {
  std::string text;
  for (size_t dim = 0; dim < op.dims.size(); ++dim) {
    if (config.degrees[dim] == 1) continue;
    text += str_cat(text.empty() ? "" : " ", op.dims[dim].name, "/", config.degrees[dim]);
  }
  return text;
}

// The distinct devices of a configuration as ranges: "0-3,8".
std::string devices_text(const OpConfig& config) {
  const std::set<DeviceId> devices(config.devices.begin(), config.devices.end());
  std::string text;
  for (auto it = devices.begin(); it != devices.end();) {
    const uint32_t first = it->value();
    uint32_t last = first;
    while (++it != devices.end() && it->value() == last + 1) ++last;
    text += str_cat(text.empty() ? "" : ",", first);
    if (last > first) text += str_cat("-", last);
  }
  return text;
}

}  // namespace

std::string graphviz(const Model& model, const Cluster& cluster, const Plan& plan) {
  constexpr size_t kColours = 12;  // of the scheme set312
  std::string text = str_cat("digraph \"", escaped(model.name), "\" {\n  label=\"",
                             escaped(model.name), ", batch ", model.batch, ", on ",
                             cluster.device_count(), " devices of ", escaped(cluster.name()),
                             "\";\n  node [shape=box style=filled colorscheme=set312];\n");
  std::map<std::string, size_t> colours;
  const OpGraph& graph = model.graph;
  for (const OpId id : graph.ops().ids()) {
    const Operator& op = graph.op(id);
    const std::string devices = devices_text(plan.ops[id]);
    const std::string degrees = degrees_text(op, plan.ops[id]);
    const size_t colour = colours.emplace(devices, colours.size() % kColours).first->second + 1;
    text += str_cat("  op", id.value(), " [label=\"", escaped(op.name), "\\n",
                    degrees.empty() ? "" : str_cat(degrees, "\\n"), "devices ", devices,
                    "\" fillcolor=", colour, "];\n");
  }
  for (const EdgeId id : graph.edges().ids()) {
    const Edge& edge = graph.edge(id);
    const Operator& producer = graph.op(edge.producer);
    const int64_t bytes = producer.output_elements() * size_bytes(producer.type);
    text += str_cat("  op", edge.producer.value(), " -> op", edge.consumer.value(), " [label=\"",
                    bytes, " B\"];\n");
  }
  return str_cat(text, "}\n");
}

}  // namespace soapbox::runner
