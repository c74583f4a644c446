#include "scenarios/runner/planning/galvatron_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/runner/planning/galvatron_files.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

using strategies::galvatron::ForwardTime;
using strategies::galvatron::Galvatron2Layers;
using strategies::galvatron::Galvatron2Profile;
using strategies::galvatron::VocabMemory;

// A profile whose layers differ by more is one of another model.
constexpr double kOtherModel = 0.1;

std::vector<std::string> json_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    if (file->path().extension() == ".json") names.push_back(file->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class FolderReader {
 public:
  FolderReader(const std::string& folder, const Transformer& model, const GalvatronCluster& cluster)
      : folder_(folder), model_(model), cluster_(cluster), names_(json_names(folder)) {}
  Result<Galvatron2Profile> read();

 private:
  struct Run {
    size_t first = 0, end = 0;
  };
  Error refuse(const std::string& file, std::string message) const {
    return bad_input(std::move(message), {str_cat(folder_, "/", file), 0, 0});
  }
  // The one file that begins so.
  Result<std::string> only(std::string_view prefix) const;
  std::string of_cluster(std::string_view prefix) const;
  Result<GalvatronProfile> parse(const std::string& name) const;
  Result<std::vector<Run>> runs() const;
  Status check_types(size_t count) const;
  // Of figures with a `seq`: those of `wanted`, or those that state none.
  template <class Row, class Matches>
  std::vector<const Row*> of_length(const std::vector<Row>& rows, const std::string& wanted,
                                    Matches matches) const;
  Result<ForwardTime> time_of(const std::string& layer, const std::string& seq) const;
  Result<Galvatron2Layers> layers_of(size_t type, const Run& run) const;
  Result<VocabMemory> vocab_of(const std::string& place) const;
  Status read_hardware(Galvatron2Profile& profile) const;
  Status read_vocab(Galvatron2Profile& profile) const;

  const std::string& folder_;
  const Transformer& model_;
  const GalvatronCluster& cluster_;
  std::vector<std::string> names_;
  std::string time_name_, memory_name_;
  GalvatronProfile times_, memory_;
  std::string all_seqs_;  // of embedding and head: "[512,512]" for several types
};

Result<std::string> FolderReader::only(std::string_view prefix) const {
  std::vector<std::string> found;
  for (const std::string& name : names_) {
    if (name.starts_with(prefix)) found.push_back(name);
  }
  if (found.size() == 1) return found.front();
  const std::string what = found.empty() ? "none" : join(found, ", ");
  return refuse(std::string(prefix) + "*.json",
                str_cat("the folder must have one such file; it has ", what));
}

std::string FolderReader::of_cluster(std::string_view prefix) const {
  return str_cat(prefix, "_", cluster_.nodes, "nodes_", cluster_.devices_per_node,
                 "gpus_per_node.json");
}

Result<GalvatronProfile> FolderReader::parse(const std::string& name) const {
  const std::string path = str_cat(folder_, "/", name);
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse_galvatron_profile(*text, path);
}

Result<std::vector<FolderReader::Run>> FolderReader::runs() const {
  const std::vector<TransformerLayer>& layers = model_.layers;
  std::vector<Run> runs;
  for (size_t u = 1; u + 1 < layers.size(); ++u) {
    if (layers[u].kind != LayerKind::kBlock) {
      return bad_input(str_cat("model ", model_.name, " has a ", to_string(layers[u].kind),
                               " between its blocks, which profiles of Galvatron do not have"));
    }
    if (runs.empty() || !(layers[u] == layers[runs.back().first])) runs.push_back({u, u});
    runs.back().end = u + 1;
  }
  return runs;
}

Status FolderReader::check_types(size_t count) const {
  for (const GalvatronProfile::LayerMemory& memory : memory_.memory) {
    bool known = false;
    for (size_t type = 0; type < count; ++type)
      known |= memory.layer == str_cat("layertype_", type);
    if (known) continue;
    return refuse(memory_name_, str_cat("has ", memory.layer, "; model ", model_.name, " has ",
                                        count, count == 1 ? " type" : " types", " of layers"));
  }
  return ok();
}

template <class Row, class Matches>
std::vector<const Row*> FolderReader::of_length(const std::vector<Row>& rows,
                                                const std::string& wanted, Matches matches) const {
  std::vector<const Row*> exact;
  std::vector<const Row*> unstated;
  for (const Row& row : rows) {
    if (!matches(row)) continue;
    if (row.seq == wanted) exact.push_back(&row);
    if (row.seq.empty()) unstated.push_back(&row);
  }
  return exact.empty() ? unstated : exact;
}

Result<ForwardTime> FolderReader::time_of(const std::string& layer, const std::string& seq) const {
  std::vector<std::pair<double, double>> points;
  std::optional<ForwardTime> any_batch;
  for (const GalvatronProfile::LayerTime* time :
       of_length(times_.layers, seq, [&](const auto& row) { return row.layer == layer; })) {
    const auto batch = static_cast<double>(time->batch);
    if (time->batch == 0) {
      any_batch = ForwardTime{time->ms, 0};
    } else {
      points.emplace_back(batch, batch * time->ms);
    }
  }
  if (!points.empty()) return ForwardTime::fit(points);
  if (any_batch) return *any_batch;
  return refuse(time_name_, str_cat("no time of ", layer, " for sequences of ", seq, " tokens"));
}

Result<Galvatron2Layers> FolderReader::layers_of(size_t type, const Run& run) const {
  const TransformerLayer& layer = model_.layers[run.first];
  const std::string name = str_cat("layertype_", type);
  const std::string seq = std::to_string(layer.seq_len);
  Galvatron2Layers found;
  found.layers = static_cast<int32_t>(run.end - run.first);
  found.hidden = layer.hidden;
  found.seq_len = layer.seq_len;
  const Result<ForwardTime> time = time_of(name, seq);
  if (!time) return time.error();
  found.forward = *time;
  for (const bool sequence_parallel : {false, true}) {
    const auto figures = of_length(memory_.memory, seq, [&](const auto& row) {
      return row.layer == name && row.sequence_parallel == sequence_parallel;
    });
    if (figures.empty()) continue;
    found.parameter_mb = figures.front()->parameter_mb;
    const double expected_mb = static_cast<double>(layer.parameter_count()) * 4 / (1 << 20);
    if (std::abs(found.parameter_mb - expected_mb) > kOtherModel * expected_mb) {
      return refuse(memory_name_,
                    str_cat(name, " has ", found.parameter_mb, " MB of parameters; a block of ",
                            model_.name, " has ", expected_mb));
    }
    found.activation_mb_per_sample = figures.front()->activation_mb;
    found.checkpoint_mb_per_sample = figures.front()->checkpoint_mb;
    return found;
  }
  return refuse(memory_name_, str_cat("no memory of ", name, " for sequences of ", seq, " tokens"));
}

Result<VocabMemory> FolderReader::vocab_of(const std::string& place) const {
  const GalvatronProfile::OtherMemory* best = nullptr;  // of the most degrees
  for (const GalvatronProfile::OtherMemory* figures : of_length(
           memory_.other_memory, all_seqs_, [&](const auto& row) { return row.place == place; })) {
    if (best == nullptr || figures->states_mb.size() > best->states_mb.size()) best = figures;
  }
  if (best != nullptr) return VocabMemory{best->states_mb, best->activation_mb};
  return refuse(memory_name_, str_cat("no other_memory_", place, " for sequences of ", all_seqs_));
}

Status FolderReader::read_vocab(Galvatron2Profile& profile) const {
  const Result<ForwardTime> time = time_of("layertype_other", all_seqs_);
  if (time) profile.vocab = *time;  // absent: nothing besides the layers
  const std::pair<const char*, VocabMemory*> places[] = {{"pp_off", &profile.vocab_alone},
                                                         {"pp_on_first", &profile.vocab_first},
                                                         {"pp_on_last", &profile.vocab_last}};
  for (const auto& [place, memory] : places) {
    Result<VocabMemory> found = vocab_of(place);
    if (!found) return found.error();
    *memory = *std::move(found);
  }
  return ok();
}

Status FolderReader::read_hardware(Galvatron2Profile& profile) const {
  std::vector<std::string> files = {of_cluster("allreduce_bandwidth"), of_cluster("p2p_bandwidth")};
  for (const std::string& optional :
       {of_cluster("sp_time"), std::string("overlap_coefficient.json")}) {
    if (std::find(names_.begin(), names_.end(), optional) != names_.end()) {
      files.push_back(optional);
    }
  }
  for (const std::string& file : files) {
    const Result<GalvatronProfile> found = parse(file);
    if (!found) return found.error();
    for (const GalvatronProfile::Bandwidth& link : found->bandwidths) {
      const auto ranks = static_cast<int32_t>(link.ranks);
      if (link.op == "pp") profile.p2p_gb_per_s[ranks] = link.gb_per_s;
      if (link.op == "allreduce") {
        profile.all_reduce_gb_per_s[{ranks, link.consecutive}] = link.gb_per_s;
      }
    }
    for (const GalvatronProfile::MessageTime& message : found->messages) {
      const bool reduce = message.op == "allreduce";
      auto& curves = reduce ? profile.all_reduce : profile.all_to_all;
      curves[static_cast<int32_t>(message.ranks)].add(message.megabytes,
                                                      reduce ? message.ms / 2 : message.ms);
    }
    if (found->overlap > 0) profile.overlap_slowdown = found->overlap;
  }
  return ok();
}

Result<Galvatron2Profile> FolderReader::read() {
  const Result<std::string> time_name = only("computation_profiling_");
  if (!time_name) return time_name.error();
  const Result<std::string> memory_name = only("memory_profiling_");
  if (!memory_name) return memory_name.error();
  Result<GalvatronProfile> times = parse(time_name_ = *time_name);
  if (!times) return times.error();
  Result<GalvatronProfile> memory = parse(memory_name_ = *memory_name);
  if (!memory) return memory.error();
  times_ = *std::move(times);
  memory_ = *std::move(memory);
  const Result<std::vector<Run>> runs = this->runs();
  if (!runs) return runs.error();
  if (const Status status = check_types(runs->size()); !status) return status.error();
  Galvatron2Profile profile;
  std::vector<std::string> seqs;
  for (size_t type = 0; type < runs->size(); ++type) {
    Result<Galvatron2Layers> layers = layers_of(type, (*runs)[type]);
    if (!layers) return layers.error();
    seqs.push_back(std::to_string(layers->seq_len));
    profile.types.push_back(*std::move(layers));
  }
  all_seqs_ = seqs.size() == 1 ? seqs[0] : str_cat("[", join(seqs, ","), "]");
  if (const Status status = read_vocab(profile); !status) return status.error();
  if (const Status status = read_hardware(profile); !status) return status.error();
  return profile;
}

}  // namespace

Result<Galvatron2Profile> read_galvatron_folder(const std::string& folder, const Transformer& model,
                                                const GalvatronCluster& cluster) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    return bad_input(str_cat("'", shown(folder), "' is not a folder of Galvatron's profiles"));
  }
  return FolderReader(folder, model, cluster).read();
}

}  // namespace soapbox::runner
