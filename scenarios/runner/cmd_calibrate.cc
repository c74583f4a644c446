// soapbox calibrate: this machine's kernels measured, and their profile.
#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "calib/backend/node_topology.h"
#include "calib/sampling/device_profile.h"
#include "calib/sampling/session.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/measured_node.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/progress.h"
#include "scenarios/runner/real_run.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostSeconds = 86'400;
constexpr std::string_view kSamples = "samples.jsonl";

struct CalibrateOptions {
  std::string backend;
  std::string out;
  std::optional<std::string> from;
  std::vector<std::string> models;
  std::optional<std::string> hardware;
  calib::LaunchMode launch = calib::LaunchMode::kGraph;
  std::optional<int64_t> batch;
  calib::SessionSpec session;
  results::Format format = results::Format::kTable;
};

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return parts;
}

// "NVIDIA H200" as the name of files: "NVIDIA-H200".
std::string id_of(const std::string& name) {
  std::string id;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_';
    id += plain ? c : '-';
  }
  return id;
}

Result<CalibrateOptions> read_options(const Arguments& arguments) {
  CalibrateOptions options;
  constexpr std::array<std::string_view, 2> kBackends = {"cpu", "cuda"};
  const Result<std::string> backend = arguments.word("backend", kBackends[0], kBackends);
  if (!backend) return backend.error();
  options.backend = *backend;
  options.from = arguments.text("from");
  for (const char* const option :
       {"quick", "models", "batch", "seed", "time-limit", "backend", "hardware", "realtime"}) {
    if (options.from && arguments.has(option)) {
      return usage_error(str_cat("calibrate: --", option, " does not apply to --from"));
    }
  }
  options.out = arguments.text_or("out", "calibration");
  if (const auto models = arguments.text("models")) options.models = split_list(*models);
  options.hardware = arguments.text("hardware");
  if (options.hardware && id_of(*options.hardware) != *options.hardware) {
    return usage_error(str_cat("calibrate: --hardware '", shown(*options.hardware),
                               "' names files: letters, digits, '-', '.' and '_' only"));
  }
  const Result<calib::LaunchMode> launch = read_launch(arguments);
  if (!launch) return launch.error();
  options.launch = *launch;
  if (arguments.has("launch") && !options.from && options.backend != "cuda") {
    return usage_error("calibrate: --launch is for --backend cuda");
  }
  const auto batch = arguments.whole_number("batch", 1, kMostSamples);
  if (!batch) return batch.error();
  options.batch = *batch;
  if (*batch && !arguments.has("models")) return usage_error("calibrate: --batch needs --models");
  const auto seed = arguments.whole_number("seed", 0, std::numeric_limits<int64_t>::max());
  if (!seed) return seed.error();
  const auto limit = arguments.whole_number("time-limit", 1, kMostSeconds);
  if (!limit) return limit.error();
  options.session.quick = arguments.has("quick");
  options.session.realtime = arguments.has("realtime");
  if (options.session.realtime && options.backend == "cuda") {
    return usage_error("calibrate: --realtime is for --backend cpu");
  }
  options.session.seed = static_cast<uint64_t>(seed->value_or(1));
  const int64_t usual = options.session.quick ? 150 : 600;
  options.session.most_seconds = static_cast<double>(limit->value_or(usual));
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  options.format = *format;
  return options;
}

Error cannot(std::string_view what, const std::string& path, const std::string& why) {
  return Error{ErrorCode::kEnvironment, str_cat("cannot ", what, ": ", why), {path, 0, 0}};
}

Status make_folder(const fs::path& path) {
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) return cannot("make the folder", path.string(), failed.message());
  return ok();
}

// Lines that are on their way to the disk as soon as they are made.
class LineFile {
 public:
  explicit LineFile(const std::string& path)
      : path_(path),
        descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {}
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  bool is_open() const { return descriptor_ >= 0; }
  Status write(const std::string& line) const { return write_descriptor(descriptor_, line, path_); }

 private:
  std::string path_;
  int descriptor_;
};

// `most_pieces`: models are cut into up to as many.
Result<std::vector<calib::ProbePoint>> choose_points(const CalibrateOptions& options,
                                                     int64_t most_pieces,
                                                     const calib::ProbeScope& scope) {
  std::vector<calib::ProbePoint> points;
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  for (const std::string& name : options.models) {
    const Result<LoadedModel> model = load_model(*scenarios, name, {options.batch, most_pieces});
    if (!model) return model.error();
    for (auto& point : calib::model_points(model->model, most_pieces))
      points.push_back(std::move(point));
  }
  for (auto& point : calib::probe_points(scope, options.session.seed)) {
    points.push_back(std::move(point));
  }
  return points;
}

std::optional<std::string> known_id(const calib::DeviceDescription& gpu) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return std::nullopt;
  const auto catalogue = HardwareCatalogue::read(scenarios->hardware_catalogue());
  return catalogue ? catalogue_id(*catalogue, gpu) : std::nullopt;
}

// How the GPUs are joined, where the system says it.
void describe_node(const std::vector<std::string>& gpus, calib::SampleHeader& header,
                   const Console& console) {
  const Result<calib::Nvml> nvml = calib::Nvml::open();
  const auto nvlinks = [&](const std::string& gpu) {
    return nvml ? nvml->nvlinks(gpu) : std::vector<calib::NvlinkEnd>();
  };
  const Result<calib::NodeTopology> node = calib::read_node_topology(gpus, {"", nvlinks});
  if (!nvml) console.say(str_cat("NVLinks are not known: ", nvml.error().message));
  if (node) {
    header.topology = node->nccl_xml;
    header.relations = node->relations;
  } else {
    console.say(str_cat("the node is not known: ", node.error().message));
    header.relations.assign(gpus.size(), "unknown");
  }
  if (gpus.size() < 2) {
    console.say("one GPU: no copies between GPUs and no collectives are measured");
  }
}

// One of each kind of neighbour of the first GPU.
std::vector<int64_t> choose_peers(const std::vector<std::string>& relations) {
  std::vector<int64_t> peers;
  std::set<std::string> seen;
  for (size_t gpu = 1; gpu < relations.size(); ++gpu) {
    if (seen.insert(relations[gpu]).second) peers.push_back(static_cast<int64_t>(gpu));
  }
  return peers;
}

// Who measures, and with what.
Result<calib::SampleHeader> describe(const CalibrateOptions& options, calib::KernelModule& module,
                                     const Console& console) {
  calib::SampleHeader header;
  header.processor = calib::this_processor();
  if (calib::KernelDevice* const device = module.device()) {
    const calib::DeviceDescription description = device->description();
    header.processor.name = description.name;
    header.processor.id = known_id(description).value_or(id_of(description.name));
    header.processor.cores = 1;
    header.processor.clock_mhz = description.clock_mhz;
    header.processor.memory_bytes = description.memory_bytes;
    header.processor.second_cache_bytes = description.second_cache_bytes;
    header.sm_count = description.sm_count;
    const Result<calib::DispatchTimes> dispatch = device->dispatch_times();
    if (!dispatch) return dispatch.error();
    header.dispatch_s = dispatch->replayed_s;
    header.launched_dispatch_s = dispatch->launched_s;
    header.waited_dispatch_s = dispatch->waited_s;
    describe_node(description.pci_addresses, header, console);
  } else {
    header.dispatch_s = calib::dispatch_seconds();
  }
  if (options.hardware) header.processor.id = *options.hardware;
  header.library = module.library();
  header.version = kVersion;
  header.started_at = utc_now();
  header.seed = options.session.seed;
  header.quick = options.session.quick;
  return header;
}

Status measure(const CalibrateOptions& options, const std::string& samples,
               const Console& console) {
  const std::string folder = fs::path(executable_path()).parent_path().string();
  const Result<calib::KernelModule*> module = calib::open_kernel_module(options.backend, folder);
  if (!module) return module.error();
  const Result<calib::SampleHeader> header = describe(options, **module, console);
  if (!header) return header.error();
  const calib::ProbeScope scope{.quick = options.session.quick,
                                .gpu = header->sm_count > 0,
                                .gpus = std::ssize(header->relations),
                                .peers = choose_peers(header->relations)};
  Result<std::vector<calib::ProbePoint>> points =
      choose_points(options, static_cast<int64_t>(header->processor.cores), scope);
  if (!points) return points.error();
  Status made = make_folder(options.out);
  if (!made) return made;
  const Interrupt interrupt;
  const LineFile file(samples);
  if (!file.is_open()) return cannot("write", samples, std::strerror(errno));
  Progress progress(console, points->size());
  calib::SessionSpec session = options.session;
  session.interrupted = [&] { return interrupt.requested(); };
  session.progress = [&](size_t done, size_t, const std::string& what) { progress.at(done, what); };
  session.write = [&](const std::string& line) { return file.write(line); };
  Result<calib::SessionOutcome> outcome = Error{};
  // On a thread of its own, which it pins.
  std::thread([&] {
    outcome = calib::run_session(**module, *std::move(points), *header, session);
  }).join();
  progress.clear();
  if (outcome && outcome->measured == 0) {
    return Error{
        ErrorCode::kUnavailable, "calibrate: nothing was measured within --time-limit", {}};
  }
  if (!outcome) {
    Error error = outcome.error();
    if (error.code == ErrorCode::kInterrupted) {
      error.message = str_cat("interrupted; what was measured is in ", samples);
    }
    return error;
  }
  console.say(
      str_cat(outcome->measured, " points in ", std::lround(outcome->seconds), " s, ",
              outcome->left_out, " left out for want of time, ", outcome->refused, " refused",
              outcome->refused > 0 ? str_cat(" (the first: ", outcome->first_refusal, ")") : "",
              "; anchors drifted by ", percent(outcome->drift, 1),
              outcome->drift > 0.03 ? " (more than 3 %: measure again on a quieter machine)" : "",
              "; ", percent(outcome->disturbed, 1), " of the samples disturbed"));
  return ok();
}

// A GPU of the catalogue keeps its datasheet there, and takes its row along.
Result<calib::DeviceProfile> fit(const calib::SampleFile& file, calib::LaunchMode launch) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (file.header.sm_count == 0 || !scenarios)
    return calib::make_device_profile(file, nullptr, launch);
  const std::string path = scenarios->hardware_catalogue();
  const Result<HardwareCatalogue> catalogue = HardwareCatalogue::read(path);
  if (!catalogue) return catalogue.error();
  const Result<Hardware> known = catalogue->find(file.header.processor.id);
  if (!known) return calib::make_device_profile(file, nullptr, launch);
  Result<calib::DeviceProfile> profile = calib::make_device_profile(file, &*known, launch);
  const Result<std::string> text = read_text_file(path);
  if (!profile || !text) return profile;
  std::string rows = text->substr(0, text->find('\n') + 1);
  const size_t begin = text->find(str_cat("\n", known->name, ",")) + 1;
  rows += text->substr(begin, text->find('\n', begin) + 1 - begin);
  profile->files.push_back({"hardware/hardware.csv", std::move(rows)});
  return profile;
}

// The whole node beside its first GPU; where that cannot be had, why.
void add_node(const calib::SampleFile& file, std::vector<calib::NamedText>& files,
              const Console& console) {
  if (file.header.topology.empty()) return;
  const Result<ScenarioFolder> scenarios = find_scenarios();
  const auto texts = scenarios ? measured_node_texts(*scenarios, file)
                               : Result<std::vector<calib::NamedText>>(scenarios.error());
  if (texts) {
    files.insert(files.end(), texts->begin(), texts->end());
  } else {
    console.say(str_cat("no cluster of the whole node: ", texts.error().to_string()));
  }
}

results::Table family_table(const calib::DeviceProfile& profile) {
  results::Table table({{"family"},
                        {"fitted"},
                        {"held_out"},
                        {"fitted_mape", 4},
                        {"held_out_mape", 4},
                        {"interval_factor", 3},
                        {"least"},
                        {"most"}});
  for (const calib::FamilyFit& family : profile.families) {
    table.add_row({family.family, family.fitted, family.held_out, family.fitted_mape,
                   family.held_out_mape, family.interval_factor, family.least_flops,
                   family.most_flops});
  }
  return table;
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<CalibrateOptions> options = read_options(arguments);
  if (!options) return options.error();
  const fs::path out(options->out);
  const std::string samples = options->from.value_or((out / kSamples).string());
  if (!options->from) {
    const Status measured = measure(*options, samples, console);
    if (!measured) return measured.error();
  }
  const Result<std::string> text = read_text_file(samples);
  if (!text) return text.error();
  const Result<calib::SampleFile> file = calib::parse_samples(*text, samples);
  if (!file) return file.error();
  Result<calib::DeviceProfile> profile = fit(*file, options->launch);
  if (!profile) return profile.error();
  add_node(*file, profile->files, console);
  for (const calib::NamedText& one : profile->files) {
    const fs::path path = out / one.path;
    const Status made = make_folder(path.parent_path());
    if (!made) return made.error();
    const Status written = write_file(path.string(), one.text);
    if (!written) return written.error();
  }
  CommandResult result{results::render(family_table(*profile), options->format)};
  const std::string where =
      str_cat("SOAPBOX_SCENARIOS=", options->out, " soapbox simulate --cluster ", profile->cluster);
  if (options->format == results::Format::kTable) {
    result.output += str_cat("\nuse it with: ", where, " ...\n");
  }
  return result;
}

}  // namespace

CommandRow calibrate_command() {
  return {
      "calibrate", "Measures this machine's kernels, and fits their profile.",
      Syntax{
          .command = "calibrate",
          .options =
              {{"backend", "NAME", "cpu (default): oneDNN on one core; cuda: the first GPU"},
               {"out", "DIR", "samples and profile go there (default calibration)"},
               {"models", "LIST", "also the pieces of these models: lenet,my.toml"},
               {"batch", "N", "of those models, instead of their own for all cores"},
               {"hardware", "NAME",
                "what the device is called; of scenarios/hardware: the fit is relative to its row\n"
                "(default: what that has it as, else its own name)"},
               {"launch", "HOW",
                "cuda: costs of kernels that are replayed as a graph (default), launched one by "
                "one: "
                "stream,\nor launched and waited for: wait"},
               {"quick", "", "about a third of the points, fewer samples of each"},
               {"realtime", "",
                "cpu: ask for real-time priority, so that other programs do not disturb"},
               {"time-limit", "S", "seconds of measuring (default 600, with --quick 150)"},
               {"seed", "S", "of sizes and order (default 1)"},
               {"from", "FILE", "do not measure: fit these raw samples again"},
               format_option()},
          .details =
              "DIR gets samples.jsonl, every sample as measured, and from it alone a scenario\n"
              "folder: hardware/, profiles/ and a cluster of this machine's cores, or of its "
              "first\n"
              "GPU and of its whole node. It is used "
              "with\nSOAPBOX_SCENARIOS=DIR. The table says how well the fit predicts points that "
              "it has not\nseen (a fifth of them) and the measured range, in FLOPs or bytes.\n"
              "interval_factor: 90 % of what was not fitted is within this factor."},
      run};
}

}  // namespace soapbox::runner
