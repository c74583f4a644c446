#include "calib/backend/cores.h"

#include <pthread.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr int64_t kUsualSecondCache = 1 << 20;

// The value of the first line "KEY : VALUE"; empty where there is none.
std::string value_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with(key)) continue;
    if (line.find_first_not_of(" \t", key.size()) != colon) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

// Letters and digits, with one dash for all that is between.
std::string dashed(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

}  // namespace

Processor parse_processor(const std::string& cpuinfo) {
  Processor processor;
  processor.name = value_of(cpuinfo, "model name");
  if (processor.name.empty()) processor.name = "unknown processor";
  processor.id = dashed(str_cat(processor.name, "-", value_of(cpuinfo, "cpu family"), "-",
                                value_of(cpuinfo, "model")));
  processor.clock_mhz = std::strtod(value_of(cpuinfo, "cpu MHz").c_str(), nullptr);
  return processor;
}

Processor this_processor() {
  std::ifstream file("/proc/cpuinfo");
  std::ostringstream text;
  text << file.rdbuf();
  Processor processor = parse_processor(text.str());
  processor.cores = std::max<size_t>(1, usable_cores().size());
  const int64_t cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  processor.second_cache_bytes = cache > 0 ? cache : kUsualSecondCache;
  processor.memory_bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  utsname system = {};
  if (uname(&system) == 0) {
    const std::string release = system.release;  // the first two numbers; the rest is a builder's
    const size_t second = release.find_first_not_of("0123456789.");
    const std::string numbers = release.substr(0, second);
    processor.system =
        str_cat(system.sysname, " ", numbers.substr(0, numbers.find('.', numbers.find('.') + 1)));
  }
  return processor;
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

bool pin_to_core(int core) {
  return pin_to_cores({core});
}

bool pin_to_cores(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

}  // namespace soapbox::calib
