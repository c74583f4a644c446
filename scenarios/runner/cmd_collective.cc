// soapbox collective: what one collective takes on a cluster, message by message.
#include <array>

#include "scenarios/runner/cluster_file.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/units_text.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostChunks = 65536;

// The value of an option that takes one of two words.
template <class T>
struct Word {
  std::string_view text;
  T value;
};

template <class T>
Result<T> read_word(const Arguments& arguments, std::string_view option,
                    const std::array<Word<T>, 2>& words) {
  const std::string text = arguments.text_or(option, words[0].text);
  std::vector<std::string> known;
  for (const Word<T>& word : words) {
    if (word.text == text) return word.value;
    known.emplace_back(word.text);
  }
  return usage_error(unknown_name(str_cat("--", option), text, known));
}

Result<CollectiveSpec> read_spec(const Arguments& arguments) {
  CollectiveSpec spec;
  const Result<std::string> op_name = arguments.required("op");
  if (!op_name) return op_name.error();
  const Result<CollectiveOp> op = find_collective(*op_name);
  if (!op) return usage_error(op.error().message);
  spec.op = *op;
  const Result<std::string> size = arguments.required("bytes");
  if (!size) return size.error();
  const Result<Bytes> bytes = parse_bytes(*size);
  if (!bytes) return usage_error(str_cat("--bytes: ", bytes.error().message));
  spec.bytes = *bytes;
  spec.algorithm = arguments.text_or("algorithm", "auto");
  if (spec.algorithm != "auto") {
    const Result<const AlgorithmRow*> row = find_algorithm(spec.op, spec.algorithm);
    if (!row) return usage_error(row.error().message);
  }
  const Result<std::optional<int64_t>> chunks = arguments.whole_number("chunks", 1, kMostChunks);
  if (!chunks) return chunks.error();
  spec.chunks = static_cast<uint32_t>(chunks->value_or(1));
  using Networks = std::array<Word<CollectiveNetwork>, 2>;
  const auto network = read_word(
      arguments, "network",
      Networks{{{"steps", CollectiveNetwork::kSteps}, {"fair", CollectiveNetwork::kFair}}});
  if (!network) return network.error();
  spec.network = *network;
  using Switch = std::array<Word<bool>, 2>;
  const auto fold = read_word(arguments, "fold", Switch{{{"on", true}, {"off", false}}});
  if (!fold) return fold.error();
  spec.fold = *fold;
  return spec;
}

Record record_of(const Cluster& cluster, const CollectiveSpec& spec,
                 const CollectiveOutcome& outcome) {
  Record record;
  record.add("op", collective_row(spec.op).op_name);
  record.add("bytes", spec.bytes.count());
  record.add("cluster", cluster.name());
  record.add("devices", cluster.device_count());
  record.add("algorithm", outcome.algorithm);
  record.add("chunks", spec.chunks);
  record.add("network", spec.network == CollectiveNetwork::kFair ? "fair" : "steps");
  record.add("time_s", outcome.time.seconds());
  record.add("algbw_bytes_per_s", outcome.algorithm_bandwidth);
  record.add("busbw_bytes_per_s", outcome.bus_bandwidth);
  record.add("messages", outcome.messages);
  record.add("events", outcome.events);
  record.add("folded", outcome.folded_ranks != 0);
  return record;
}

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<CollectiveSpec> spec = read_spec(arguments);
  if (!spec) return spec.error();
  const Result<std::string> cluster_name = arguments.required("cluster");
  if (!cluster_name) return cluster_name.error();
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  std::optional<size_t> limit;
  if (*devices) limit = static_cast<size_t>(**devices);
  const Result<Cluster> cluster = load_cluster(*scenarios, *cluster_name, limit);
  if (!cluster) return cluster.error();
  std::vector<DeviceId> ranks;
  for (const DeviceId device : cluster->devices().ids()) ranks.push_back(device);
  const Result<CollectiveOutcome> outcome = simulate_collective(*cluster, ranks, *spec);
  if (!outcome) return outcome.error();
  return CommandResult{record_of(*cluster, *spec, *outcome).render(*format)};
}

}  // namespace

CommandRow collective_command() {
  return {
      "collective", "Simulates one collective, message by message.",
      Syntax{
          .command = "collective",
          .options = {{"op", "NAME",
                       "all_reduce, reduce_scatter, all_gather, broadcast, all_to_all, send_recv"},
                      {"bytes", "SIZE", "the buffer, as nccl-tests count it, e.g. 1MiB"},
                      {"cluster", "NAME|FILE", "a file of scenarios/clusters, or any other"},
                      {"devices", "N", "the first N devices (default: all)"},
                      {"algorithm", "NAME",
                       "ring, tree, double_binary_tree, halving_doubling, direct, hierarchical; "
                       "default auto: the one with the smallest estimate"},
                      {"chunks", "K",
                       "cut the data into K parts that follow each other (default 1)"},
                      {"network", "NAME",
                       "steps: messages use a link one after the other (default); fair: at once"},
                      {"fold", "on|off",
                       "simulate one of several equal ranks where that is proved (default on)"},
                      format_option()}},
      run};
}

}  // namespace soapbox::runner
