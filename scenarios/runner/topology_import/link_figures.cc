#include "scenarios/runner/topology_import/link_figures.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

constexpr double kNvlink4Achieved = 0.881;  // where a generation has no measurement of its own
constexpr double kNetworkAchieved = 0.96;

Result<CsvTable> read_table(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return CsvTable::parse(*text, path);
}

// Cells by the name of their column.
class Rows {
 public:
  explicit Rows(const CsvTable& table) : table_(&table) {}
  std::string_view text(size_t row, std::string_view column) const {
    const auto& columns = table_->columns();
    const auto found = std::ranges::find(columns, column);
    if (found == columns.end()) return {};
    return table_->text(row, static_cast<size_t>(found - columns.begin()));
  }
  double number(size_t row, std::string_view column) const {  // 0 where it is empty
    return std::strtod(std::string(text(row, column)).c_str(), nullptr);
  }
  size_t count() const { return table_->row_count(); }

 private:
  const CsvTable* table_;
};

// What NVLinks of this generation ("NVLink3") achieve of their rate.
std::optional<double> nvlink_achieved(const Rows& links, std::string_view generation) {
  for (size_t row = 0; row < links.count(); ++row) {
    const double achieved = links.number(row, "achieved_uni_gbs");
    if (links.text(row, "id").starts_with(generation) && achieved > 0) {
      return achieved / links.number(row, "uni_gbs_spec");
    }
  }
  return std::nullopt;
}

double pcie_specified(int64_t generation, int64_t lanes) {
  return 15.75 / 16 * static_cast<double>(lanes) *
         (generation >= 3 ? static_cast<double>(int64_t{1} << (generation - 3))
                          : 1.0 / static_cast<double>(int64_t{1} << (3 - generation)));
}

}  // namespace

Result<LinkFigures> LinkFigures::read(const ScenarioFolder& scenarios, const std::string& gpu) {
  const std::string devices_path = scenarios.hardware_catalogue();
  const std::string links_path =
      (std::filesystem::path(devices_path).parent_path() / "hardware_links.csv").string();
  const Result<CsvTable> devices_table = read_table(devices_path);
  if (!devices_table) return devices_table.error();
  const Result<CsvTable> links_table = read_table(links_path);
  if (!links_table) return links_table.error();
  const Rows devices(*devices_table);
  const Rows links(*links_table);

  LinkFigures figures;
  std::vector<std::string> known;
  for (size_t row = 0; row < devices.count(); ++row) {
    known.emplace_back(devices.text(row, "id"));
    if (known.back() != gpu) continue;
    figures.gpu_ = gpu;
    figures.generation_ =
        std::clamp<int64_t>(static_cast<int64_t>(devices.number(row, "pcie_gen")), 0, 7);
    if (figures.generation_ == 0) figures.generation_ = 5;  // GB200: NVLink-C2C; its NICs have 5
    const std::string scaleup(devices.text(row, "scaleup"));
    if (!scaleup.starts_with("NVLink")) continue;
    figures.nvlinks_ = static_cast<int64_t>(devices.number(row, "scaleup_links"));
    const std::string generation = scaleup.substr(0, scaleup.find(' '));
    const std::optional<double> achieved = nvlink_achieved(links, generation);
    const double specified =
        devices.number(row, "scaleup_uni_gbs") / static_cast<double>(figures.nvlinks_);
    figures.nvlink_ = {
        gb_per_s(specified * achieved.value_or(kNvlink4Achieved)),
        str_cat(generation, ", ", specified, " GB/s a link and direction, ",
                achieved ? "as much of it as was measured" : "88.1 % of it as measured for NVLink4",
                " (scenarios/hardware); latency: NCCL's NVLink constant")};
  }
  if (figures.gpu_.empty()) return bad_input(unknown_name("hardware", gpu, known));
  for (size_t row = 0; row < links.count(); ++row) {
    const std::string_view id = links.text(row, "id");
    const double achieved = links.number(row, "achieved_uni_gbs");
    if (achieved <= 0) continue;
    const double specified = links.number(row, "uni_gbs_spec");
    if (id.starts_with("IB-")) figures.networks_.emplace_back(specified, achieved);
    if (id.starts_with("PCIe") && id.ends_with("-x16")) {
      figures.pcie_achieved_[static_cast<size_t>(id[4] - '0') % 8] = achieved / specified;
    }
  }
  return figures;
}

LinkFigure LinkFigures::pcie(int64_t generation, int64_t lanes) const {
  // Generations without a measurement are taken to achieve what the nearest newer or older one
  // does.
  double achieved = pcie_achieved_[generation];
  for (int64_t near = generation; achieved == 0 && near < 7; ++near) {
    achieved = pcie_achieved_[near];
  }
  for (int64_t near = generation; achieved == 0 && near > 0; --near) {
    achieved = pcie_achieved_[near];
  }
  return {gb_per_s(pcie_specified(generation, lanes) * achieved),
          str_cat("PCIe ", generation, " x", lanes, ", as much of its rate as pinned copies get",
                  " (scenarios/hardware); latency: half of NCCL's PCIe constant")};
}

LinkFigure LinkFigures::socket(bool amd) const {
  if (amd) return {gb_per_s(16), "NCCL's constant for traffic between AMD sockets, recalled"};
  if (generation_ <= 3) {
    return {gb_per_s(10), "NCCL's constant for traffic between Skylake sockets, recalled"};
  }
  return {gb_per_s(22), "NCCL's constant for traffic between Sapphire Rapids sockets, recalled"};
}

LinkFigure LinkFigures::network(double gbit_per_s) const {
  const double raw = gbit_per_s / 8;
  for (const auto& [specified, achieved] : networks_) {
    if (specified == raw) {
      return {gb_per_s(achieved), str_cat(gbit_per_s, " Gbit/s, ", achieved, " GB/s as InfiniBand",
                                          " of this rate (scenarios/hardware)")};
    }
  }
  return {gb_per_s(raw * kNetworkAchieved),
          str_cat(gbit_per_s, " Gbit/s, 96 % of it as EDR InfiniBand achieves")};
}

}  // namespace soapbox::runner
