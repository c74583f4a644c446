#include "scenarios/runner/topology_import/topo_matrix.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

constexpr size_t kMostDevices = 256;

enum class Relation : uint8_t { kSelf, kNvlink, kPix, kPxb, kPhb, kNode, kSys };

struct Cell {
  std::string text;
  int line = 0;
  int column = 0;
};

// Terminals underline the header: escape sequences become blanks, so that columns stay.
std::string without_escapes(std::string_view text) {
  std::string out(text);
  for (size_t at = 0; (at = out.find('\x1b', at)) != std::string::npos;) {
    while (at < out.size() && std::isalpha(static_cast<unsigned char>(out[at])) == 0) {
      out[at++] = ' ';
    }
    if (at < out.size()) out[at] = ' ';
  }
  return out;
}

std::vector<std::vector<Cell>> lines_of(std::string_view text) {
  std::vector<std::vector<Cell>> lines;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    std::vector<Cell> cells;
    constexpr std::string_view kBlank = " \t\r";
    for (size_t at = 0; (at = line.find_first_not_of(kBlank, at)) != std::string_view::npos;) {
      const size_t stop = std::min(line.find_first_of(kBlank, at), line.size());
      cells.push_back({std::string(line.substr(at, stop - at)), number, static_cast<int>(at) + 1});
      at = stop;
    }
    lines.push_back(std::move(cells));
  }
  return lines;
}

// Sets of devices that are joined step by step.
class Groups {
 public:
  explicit Groups(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t find(size_t i) const {
    while (parent_[i] != i) i = parent_[i];
    return i;
  }
  void join(size_t a, size_t b) {  // named by the smallest member
    a = find(a);
    b = find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

class TopoMatrix {
 public:
  TopoMatrix(std::string file, const LinkFigures& figures)
      : file_(std::move(file)), figures_(figures) {}

  Status read(const std::vector<std::vector<Cell>>& lines);
  Result<ImportedNode> node() const;

 private:
  struct Entry {
    Relation relation = Relation::kSelf;
    int64_t nvlinks = 0;
    const Cell* cell = nullptr;
    friend bool same(const Entry& a, const Entry& b) {
      return a.relation == b.relation && a.nvlinks == b.nvlinks;
    }
  };
  Error error_at(const Cell& cell, std::string message) const {
    return bad_input(std::move(message), {file_, cell.line, cell.column});
  }
  bool is_gpu(size_t device) const {
    const std::string& name = names_[device];
    return name.size() > 3 && name.starts_with("GPU") &&
           std::isdigit(static_cast<unsigned char>(name[3])) != 0;
  }
  size_t count() const { return names_.size(); }
  const Entry& entry(size_t a, size_t b) const { return entries_[a * count() + b]; }
  std::string vertex(size_t device) const;

  Result<Entry> read_entry(const Cell& cell) const;
  Status read_row(const std::vector<Cell>& cells);
  Status check_symmetry() const;
  Status check_groups(const Groups& switches) const;
  Status add_nvlinks(ImportedNode& node) const;
  void add_pcie(ImportedNode& node, const Groups& pix, const Groups& switches,
                const Groups& sockets) const;
  Groups grouped(std::initializer_list<Relation> relations) const;

  std::string file_;
  const LinkFigures& figures_;
  std::vector<std::string> names_;
  std::vector<Entry> entries_;             // row after row
  std::vector<const Cell*> rows_;          // the label of each device's row; null: not read
  std::vector<std::string> affinity_;      // of each device; empty: not stated
  std::optional<size_t> affinity_column_;  // behind the devices
};

Result<TopoMatrix::Entry> TopoMatrix::read_entry(const Cell& cell) const {
  static const std::vector<std::pair<std::string, Relation>> kNames = {
      {"X", Relation::kSelf},  {"PIX", Relation::kPix},   {"PXB", Relation::kPxb},
      {"PHB", Relation::kPhb}, {"NODE", Relation::kNode}, {"SYS", Relation::kSys},
      {"SOC", Relation::kSys}};  // as drivers before 384 call it
  for (const auto& [name, relation] : kNames) {
    if (cell.text == name) return Entry{relation, 0, &cell};
  }
  if (cell.text.starts_with("NV")) {
    Entry entry{Relation::kNvlink, 0, &cell};
    const char* const end = cell.text.data() + cell.text.size();
    const auto [stop, failed] = std::from_chars(cell.text.data() + 2, end, entry.nvlinks);
    if (failed == std::errc() && stop == end && entry.nvlinks > 0 && entry.nvlinks <= 1000) {
      return entry;
    }
  }
  return error_at(cell, str_cat("unknown relation '", shown(cell.text),
                                "'; allowed: X, NV1 and more, PIX, PXB, PHB, NODE, SYS"));
}

Status TopoMatrix::read_row(const std::vector<Cell>& cells) {
  const auto found = std::ranges::find(names_, cells[0].text);
  if (found == names_.end()) {
    return error_at(cells[0], str_cat("row '", shown(cells[0].text),
                                      "' has no column; known: ", join(names_, ", ")));
  }
  const auto device = static_cast<size_t>(found - names_.begin());
  if (rows_[device] != nullptr) return error_at(cells[0], str_cat(*found, " has two rows"));
  rows_[device] = cells.data();
  if (cells.size() < count() + 1) {
    return error_at(cells.back(),
                    str_cat(*found, " has ", cells.size() - 1, " relations; expected ", count()));
  }
  for (size_t other = 0; other < count(); ++other) {
    const Result<Entry> entry = read_entry(cells[other + 1]);
    if (!entry) return entry.error();
    if ((entry->relation == Relation::kSelf) != (other == device)) {
      return error_at(cells[other + 1],
                      str_cat("'", entry->cell->text, "' between ", *found, " and ", names_[other],
                              "; X is a device's relation to itself alone"));
    }
    entries_[device * count() + other] = *entry;
  }
  const size_t at = count() + 1 + affinity_column_.value_or(0);
  if (affinity_column_ && at < cells.size() && cells[at].text != "N/A") {
    affinity_[device] = cells[at].text;
  }
  return ok();
}

Status TopoMatrix::read(const std::vector<std::vector<Cell>>& lines) {
  size_t line = 0;
  while (line < lines.size() && (lines[line].empty() || lines[line][0].text != "GPU0")) ++line;
  if (line == lines.size()) {
    return bad_input("no header: a line that begins with GPU0 (output of nvidia-smi topo -m)",
                     {file_, 1, 1});
  }
  const std::vector<Cell>& header = lines[line];
  size_t column = 0;
  for (; column < header.size() && header[column].text != "CPU"; ++column) {
    const Cell& cell = header[column];
    if (std::ranges::find(names_, cell.text) != names_.end()) {
      return error_at(cell, str_cat("column '", shown(cell.text), "' is there twice"));
    }
    if (names_.size() == kMostDevices) {
      return error_at(cell, str_cat("more than ", kMostDevices, " devices"));
    }
    names_.push_back(cell.text);
  }
  // "CPU Affinity", "NUMA Affinity": one cell each in a row; the last of them that is there.
  for (size_t i = column, stated = 0; i + 1 < header.size(); i += 2, ++stated) {
    if (header[i].text == "CPU" || header[i].text == "NUMA") affinity_column_ = stated;
  }
  entries_.resize(count() * count());
  rows_.resize(count(), nullptr);
  affinity_.resize(count());
  for (++line; line < lines.size() && !lines[line].empty(); ++line) {
    if (lines[line][0].text == "Legend:") break;
    if (Status status = read_row(lines[line]); !status) return status;
  }
  for (size_t device = 0; device < count(); ++device) {
    if (rows_[device] != nullptr) continue;
    return error_at(header[device], str_cat(names_[device], " has a column and no row"));
  }
  return check_symmetry();
}

Status TopoMatrix::check_symmetry() const {
  for (size_t a = 0; a < count(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (same(entry(a, b), entry(b, a))) continue;
      return error_at(*entry(a, b).cell,
                      str_cat(names_[a], " to ", names_[b], " is ", entry(a, b).cell->text,
                              ", the other way round it is ", entry(b, a).cell->text));
    }
  }
  return ok();
}

Groups TopoMatrix::grouped(std::initializer_list<Relation> relations) const {
  Groups groups(count());
  for (size_t a = 0; a < count(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (std::ranges::find(relations, entry(a, b).relation) != relations.end()) groups.join(a, b);
    }
  }
  return groups;
}

// Two devices below one PCIe switch by way of others cannot be further apart.
Status TopoMatrix::check_groups(const Groups& switches) const {
  for (size_t a = 0; a < count(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (switches.find(a) != switches.find(b)) continue;
      const Relation relation = entry(a, b).relation;
      if (relation == Relation::kPhb || relation == Relation::kNode || relation == Relation::kSys) {
        return error_at(*entry(a, b).cell,
                        str_cat(names_[a], " and ", names_[b], " are ", entry(a, b).cell->text,
                                ", but others put them below one PCIe switch"));
      }
    }
  }
  return ok();
}

// One number of links between each two GPUs, and more of them than a GPU has: an NVSwitch.
Status TopoMatrix::add_nvlinks(ImportedNode& node) const {
  std::vector<size_t> gpus;
  for (size_t device = 0; device < count(); ++device) {
    if (is_gpu(device)) gpus.push_back(device);
  }
  bool uniform = true;
  const Entry* busiest = nullptr;
  int64_t most = 0;
  for (const size_t a : gpus) {
    int64_t sum = 0;
    for (const size_t b : gpus) {
      sum += entry(a, b).nvlinks;
      if (a != b && entry(a, b).nvlinks != entry(gpus[0], gpus[1]).nvlinks) uniform = false;
    }
    if (sum > most) busiest = &entry(a, gpus[a == gpus[0] ? gpus.size() - 1 : 0]);
    most = std::max(most, sum);
  }
  if (most == 0) return ok();
  const int64_t between = entry(gpus[0], gpus[gpus.size() > 1 ? 1 : 0]).nvlinks;
  const bool switched = uniform && most > figures_.nvlinks() && between <= figures_.nvlinks();
  if (most > figures_.nvlinks() && !switched) {
    return error_at(*busiest->cell, str_cat("a GPU of this row has ", most, " NVLinks; allowed: ",
                                            figures_.nvlinks(), ", those of ", figures_.gpu()));
  }
  for (size_t i = 0; i < gpus.size(); ++i) {
    if (switched) node.join_nvswitch(i, between, figures_);
    for (size_t j = 0; j < i && !switched; ++j) {
      const int64_t lanes = entry(gpus[i], gpus[j]).nvlinks;
      if (lanes > 0) node.join_gpus(j, i, lanes, figures_);
    }
  }
  return ok();
}

// gpu and nic are numbered by their columns.
std::string TopoMatrix::vertex(size_t device) const {
  size_t number = 0;
  for (size_t other = 0; other < device; ++other) number += is_gpu(other) == is_gpu(device) ? 1 : 0;
  return str_cat(is_gpu(device) ? "gpu" : "nic", number);
}

// A switch for each group of two or more devices; below it one for each group of the closer kind,
// where there are several groups.
void TopoMatrix::add_pcie(ImportedNode& node, const Groups& pix, const Groups& switches,
                          const Groups& sockets) const {
  const LinkFigure figure = figures_.pcie(figures_.pcie_generation(), 16);
  std::map<size_t, size_t> cpu_of;                     // by the name of the group
  std::map<size_t, std::vector<size_t>> group, inner;  // members
  for (size_t device = 0; device < count(); ++device) {
    cpu_of.emplace(sockets.find(device), cpu_of.size());
    group[switches.find(device)].push_back(device);
    inner[pix.find(device)].push_back(device);
  }
  node.cpus = cpu_of.size();
  const auto add_switch = [&](const std::string& above) {
    std::string name = str_cat("pcie", node.pcie_switches++);
    node.join_pcie(name, above, figure);
    return name;
  };
  for (const auto& [root, members] : group) {
    const std::string cpu = str_cat("cpu", cpu_of[sockets.find(root)]);
    const std::string upper = members.size() > 1 ? add_switch(cpu) : cpu;
    std::map<size_t, std::string> inner_switch;
    for (const size_t device : members) {
      const std::vector<size_t>& close = inner[pix.find(device)];
      std::string above = upper;
      if (close.size() > 1 && close.size() < members.size()) {
        std::string& name = inner_switch[pix.find(device)];
        if (name.empty()) name = add_switch(upper);
        above = name;
      }
      node.join_pcie(vertex(device), above, figure);
    }
  }
}

Result<ImportedNode> TopoMatrix::node() const {
  ImportedNode node;
  node.origin = str_cat("nvidia-smi topo -m, ", file_);
  for (size_t device = 0; device < count(); ++device) {
    if (is_gpu(device)) {
      ++node.gpus;
    } else {
      node.nics.push_back(names_[device]);
    }
  }
  const Groups pix = grouped({Relation::kPix});
  const Groups switches = grouped({Relation::kPix, Relation::kPxb});
  Groups sockets = grouped({Relation::kPix, Relation::kPxb, Relation::kPhb, Relation::kNode});
  for (size_t a = 0; a < count(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (!affinity_[a].empty() && affinity_[a] == affinity_[b]) sockets.join(a, b);
    }
  }
  if (Status status = check_groups(switches); !status) return status.error();
  if (Status status = add_nvlinks(node); !status) return status.error();
  add_pcie(node, pix, switches, sockets);
  node.socket = figures_.socket(figures_.pcie_generation() == 4);
  return node;
}

}  // namespace

Result<ImportedNode> node_from_topo_matrix(std::string_view text, const std::string& file,
                                           const LinkFigures& figures) {
  const std::vector<std::vector<Cell>> lines = lines_of(without_escapes(text));
  TopoMatrix matrix(file, figures);
  if (Status status = matrix.read(lines); !status) return status.error();
  return matrix.node();
}

}  // namespace soapbox::runner
