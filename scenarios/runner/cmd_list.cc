// soapbox list: the names that the other commands accept.
#include <algorithm>
#include <array>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"
#include "sim/model/models.h"

namespace soapbox::runner {
namespace {

using results::Table;

Result<Table> list_models() {
  Table table({{"name"},
               {"operators"},
               {"parameters"},
               {"forward_gflops_per_sample", 2},
               {"batch_per_device"},
               {"summary"}});
  for (const ModelRow& row : model_table()) {
    const Result<Model> model = row.build(row.batch_per_device);
    if (!model) return model.error();
    table.add_row(
        {row.name, model->graph.ops().size(), model->graph.parameter_count(),
         model->graph.forward_flops().count() / 1e9 / static_cast<double>(row.batch_per_device),
         row.batch_per_device, row.summary});
  }
  return table;
}

struct Listing {
  std::string_view name;
  Result<Table> (*make)();
};
constexpr std::array kListings = {Listing{"models", list_models}};

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const std::string& name = arguments.positional()[0];
  std::vector<std::string> known;
  for (const Listing& listing : kListings) {
    known.emplace_back(listing.name);
    if (listing.name != name) continue;
    const Result<Table> table = listing.make();
    if (!table) return table.error();
    return CommandResult{results::render(*table, *format)};
  }
  return usage_error(unknown_name("kind of name", name, known));
}

}  // namespace

CommandRow list_command() {
  return {"list", "Prints the names that the other commands accept.",
          Syntax{.command = "list",
                 .positional = "models",
                 .min_positional = 1,
                 .max_positional = 1,
                 .options = {format_option()}},
          run};
}

}  // namespace soapbox::runner
