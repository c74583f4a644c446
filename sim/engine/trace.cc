#include "sim/engine/trace.h"

#include <bit>
#include <cstdio>
#include <string_view>

#include "sim/base/str.h"

namespace soapbox {
namespace {

// The finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit.
uint64_t mix(uint64_t word) {
  word ^= word >> 33;
  word *= 0xff51afd7ed558ccd;
  word ^= word >> 33;
  word *= 0xc4ceb9fe1a85ec53;
  return word ^ word >> 33;
}

uint64_t word_of(SimTime time) {
  return static_cast<uint64_t>(time.picoseconds());
}

std::string task_name(const TraceNames& names, TaskId task) {
  return names.task ? names.task(task) : str_cat("task ", task.value());
}

std::string resource_name(const TraceNames& names, ResourceId resource) {
  return names.resource ? names.resource(resource) : str_cat("resource ", resource.value());
}

// The text between the quotes of a JSON string.
std::string json_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      escaped += '\\';
      escaped += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      escaped += code;
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// The text between the quotes of a DOT string: a quote would end it, a backslash begins an escape.
std::string dot_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Exact: "12.000034" for 12000034 ps. REQUIRES: picoseconds >= 0.
std::string microseconds_text(int64_t picoseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(picoseconds / 1'000'000),
                static_cast<long long>(picoseconds % 1'000'000));
  return text;
}

}  // namespace

uint64_t trace_hash(const TaskGraph& graph, const Timeline& timeline) {
  uint64_t hash = mix(graph.task_count());
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    // Mixed before they meet the running hash, so that the processor overlaps tasks.
    const uint64_t start = word_of(timeline.start[task]) * 0x9e3779b97f4a7c15;
    const uint64_t end = word_of(timeline.end[task]) * 0xd6e8feb86659fd93;
    const uint64_t word = mix(start ^ std::rotl(end, 32) ^ graph.resource(task).value());
    hash = std::rotl(hash ^ word, 27) * 0x2545f4914f6cdd1d;
  }
  return mix(hash);
}

void write_chrome_trace(std::ostream& out, const TaskGraph& graph, const Timeline& timeline,
                        const TraceNames& names) {
  out << "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
  const char* separator = "\n";
  for (ResourceId resource : id_range<ResourceId>(graph.resource_count())) {
    out << separator << R"({"ph":"M","pid":0,"tid":)" << resource.value()
        << R"(,"name":"thread_name","args":{"name":")"
        << json_escaped(resource_name(names, resource)) << "\"}}";
    separator = ",\n";
    out << separator << R"({"ph":"M","pid":0,"tid":)" << resource.value()
        << R"(,"name":"thread_sort_index","args":{"sort_index":)" << resource.value() << "}}";
  }
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    out << separator << R"({"ph":"X","pid":0,"tid":)" << graph.resource(task).value()
        << ",\"ts\":" << microseconds_text(timeline.start[task].picoseconds()) << ",\"dur\":"
        << microseconds_text((timeline.end[task] - timeline.start[task]).picoseconds())
        << ",\"name\":\"" << json_escaped(task_name(names, task)) << '"';
    if (names.category) out << ",\"cat\":\"" << json_escaped(names.category(task)) << '"';
    out << ",\"args\":{\"task\":" << task.value()
        << ",\"ready_us\":" << microseconds_text(timeline.ready[task].picoseconds()) << "}}";
    separator = ",\n";
  }
  out << "\n]}\n";
}

void write_dot(std::ostream& out, const TaskGraph& graph, const Timeline& timeline,
               const TraceNames& names) {
  out << "digraph tasks {\n  rankdir=LR;\n  node [shape=box];\n";
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    out << "  t" << task.value() << " [label=\"" << dot_escaped(task_name(names, task)) << "\\n"
        << dot_escaped(resource_name(names, graph.resource(task))) << "\\n"
        << microseconds_text(timeline.start[task].picoseconds()) << " .. "
        << microseconds_text(timeline.end[task].picoseconds()) << " us\"];\n";
  }
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    for (TaskId successor : graph.successors(task)) {
      out << "  t" << task.value() << " -> t" << successor.value() << ";\n";
    }
  }
  out << "}\n";
}

}  // namespace soapbox
