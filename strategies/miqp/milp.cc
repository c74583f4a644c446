#include "strategies/miqp/milp.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

class Builder {
 public:
  Builder(const Instance& in, MilpForm form, double scale, const MilpPruning& pruning)
      : in_(in), form_(form), pruning_(pruning) {
    model_.time_scale = scale;
  }

  MilpModel build() {
    add_choices();
    const double c = static_cast<double>(in_.microbatches - 1);
    for (size_t i = 0; i < in_.stages; ++i) stage_.push_back(add_time(str_cat("p_", i), 1));
    for (size_t j = 0; j + 1 < in_.stages; ++j) cross_.push_back(add_time(str_cat("o_", j), 1));
    const size_t bottleneck = add_time("T", c);
    if (pruning_.most_bottleneck != kNoObjective) {
      model_.columns[bottleneck].upper = scaled(pruning_.most_bottleneck) * (1 + 1e-9);
    }
    // p_i - sum of its terms = 0: the terms are collected while edges are
    // added.
    for (const size_t column : stage_) terms_.push_back({{column, -1}});
    for (const size_t column : cross_) terms_.push_back({{column, -1}});
    for (size_t i = 0; i < in_.stages; ++i) add_stage(i);
    for (size_t e = 0; e < in_.edges.size(); ++e) add_edge(e);
    for (size_t t = 0; t < terms_.size(); ++t) {
      const bool is_stage = t < in_.stages;
      const size_t column = is_stage ? stage_[t] : cross_[t - in_.stages];
      model_.rows.push_back({str_cat("time_", model_.columns[column].name), 0, 0, terms_[t]});
      model_.rows.push_back({str_cat("most_", model_.columns[column].name),
                             0,
                             kInfinite,
                             {{bottleneck, 1}, {column, -1}}});
    }
    return std::move(model_);
  }

 private:
  static constexpr double kInfinite = std::numeric_limits<double>::infinity();

  size_t add_time(std::string name, double cost) {
    model_.columns.push_back({std::move(name), cost, kInfinite, false});
    return model_.columns.size() - 1;
  }
  double scaled(int64_t time) const { return static_cast<double>(time) * model_.time_scale; }
  size_t at(size_t u, size_t i, size_t k) const {
    return (u * in_.stages + i) * in_.strategies + k;
  }

  void add_choices() {
    y_.assign(in_.layers * in_.stages * in_.strategies, kNone);
    for (uint32_t u = 0; u < in_.layers; ++u) {
      MilpRow one{str_cat("layer_", u), 1, 1, {}};
      for (uint32_t i = 0; i < in_.stages; ++i) {
        for (uint32_t k = 0; k < in_.strategies; ++k) {
          if (!in_.allowed(u, k) || in_.memory_at(i, u, k) > in_.memory_limit[i]) continue;
          if (!pruning_.alive.empty() && !pruning_.alive[at(u, i, k)]) continue;
          y_[at(u, i, k)] = model_.columns.size();
          one.terms.emplace_back(model_.columns.size(), 1);
          model_.choices.push_back({u, i, k});
          model_.columns.push_back({str_cat("y_", u, "_", i, "_", k), 0, 1, true});
        }
      }
      model_.rows.push_back(std::move(one));
    }
  }

  void add_stage(size_t i) {
    const double limit = static_cast<double>(std::max<int64_t>(in_.memory_limit[i], 1));
    MilpRow memory{
        str_cat("memory_", i), -kInfinite, static_cast<double>(in_.memory_limit[i]) / limit, {}};
    MilpRow used{str_cat("used_", i), 1, kInfinite, {}};
    for (size_t u = 0; u < in_.layers; ++u) {
      for (size_t k = 0; k < in_.strategies; ++k) {
        const size_t column = y_[at(u, i, k)];
        if (column == kNone) continue;
        memory.terms.emplace_back(column, static_cast<double>(in_.memory_at(i, u, k)) / limit);
        used.terms.emplace_back(column, 1);
        terms_[i].emplace_back(column, scaled(in_.compute_at(u, k)));
      }
    }
    model_.rows.push_back(std::move(memory));
    if (!in_.empty_stages) model_.rows.push_back(std::move(used));
  }

  // What a pair costs on stages i <= j, or kNotAllowed.
  int64_t pair_cost(size_t e, size_t i, size_t k, size_t j, size_t l) const {
    if (i == j) return in_.reshard_at(e, k, l);
    if (j > i + 1 && in_.long_edges == LongEdges::kFree) return 0;
    return in_.reshard_cross_at(e, k, l);
  }

  void charge(size_t column, size_t i, size_t j, int64_t cost) {
    if (cost == 0) return;
    if (i == j) terms_[i].emplace_back(column, scaled(cost));
    for (size_t b = i; b < j; ++b) terms_[in_.stages + b].emplace_back(column, scaled(cost));
  }

  void add_edge(size_t e) {
    const Edge edge = in_.edges[e];
    std::vector<MilpRow> heads(in_.stages * in_.strategies);  // marginals of both ends
    std::vector<MilpRow> tails(in_.stages * in_.strategies);
    for (size_t i = 0; i < in_.stages; ++i) {
      for (size_t k = 0; k < in_.strategies; ++k) {
        const size_t from = y_[at(edge.from, i, k)];
        if (from == kNone) continue;
        for (size_t j = i; j < in_.stages; ++j) {
          for (size_t l = 0; l < in_.strategies; ++l) {
            const size_t to = y_[at(edge.to, j, l)];
            if (to == kNone) continue;
            const int64_t cost = pair_cost(e, i, k, j, l);
            const std::string name = str_cat(e, "_", i, "_", k, "_", j, "_", l);
            if (form_ == MilpForm::kFlow) {
              if (cost == kNotAllowed) continue;
              const size_t x = add_time(str_cat("x_", name), 0);
              heads[i * in_.strategies + k].terms.emplace_back(x, 1);
              tails[j * in_.strategies + l].terms.emplace_back(x, 1);
              charge(x, i, j, cost);
            } else {
              add_product(name, from, to, i, j, cost);
            }
          }
        }
      }
    }
    if (form_ == MilpForm::kMcCormick) return add_order(e);
    add_marginals(edge.from, str_cat("from_", e), heads);
    add_marginals(edge.to, str_cat("to_", e), tails);
  }

  void add_marginals(size_t layer, const std::string& name, std::vector<MilpRow>& rows) {
    for (size_t i = 0; i < in_.stages; ++i) {
      for (size_t k = 0; k < in_.strategies; ++k) {
        const size_t column = y_[at(layer, i, k)];
        if (column == kNone) continue;
        MilpRow& row = rows[i * in_.strategies + k];
        row.name = str_cat(name, "_", i, "_", k);
        row.terms.emplace_back(column, -1);
        model_.rows.push_back(std::move(row));
      }
    }
  }

  void add_product(const std::string& name, size_t from, size_t to, size_t i, size_t j,
                   int64_t cost) {
    if (cost == 0) return;
    if (cost == kNotAllowed) {
      model_.rows.push_back({str_cat("not_", name), -kInfinite, 1, {{from, 1}, {to, 1}}});
      return;
    }
    const size_t x = add_time(str_cat("x_", name), 0);
    model_.rows.push_back({str_cat("and_", name), -1, kInfinite, {{x, 1}, {from, -1}, {to, -1}}});
    charge(x, i, j, cost);
  }

  // The later layer is on one of the first stages only if the earlier one is.
  void add_order(size_t e) {
    for (size_t last = 0; last + 1 < in_.stages; ++last) {
      MilpRow row{str_cat("order_", e, "_", last), 0, kInfinite, {}};
      for (size_t i = 0; i <= last; ++i) {
        for (size_t k = 0; k < in_.strategies; ++k) {
          const size_t from = y_[at(in_.edges[e].from, i, k)];
          const size_t to = y_[at(in_.edges[e].to, i, k)];
          if (from != kNone) row.terms.emplace_back(from, 1);
          if (to != kNone) row.terms.emplace_back(to, -1);
        }
      }
      model_.rows.push_back(std::move(row));
    }
  }

  static constexpr size_t kNone = ~size_t{0};
  const Instance& in_;
  MilpForm form_;
  const MilpPruning& pruning_;
  MilpModel model_;
  std::vector<size_t> y_;
  std::vector<size_t> stage_;
  std::vector<size_t> cross_;
  std::vector<std::vector<std::pair<size_t, double>>> terms_;  // of p, then of o
};

std::string linear(const MilpModel& model, const std::vector<std::pair<size_t, double>>& terms) {
  std::string text;
  size_t width = 0;
  for (const auto& [column, value] : terms) {
    if (value == 0) continue;
    const std::string term =
        str_cat(value < 0 ? " - " : " + ", std::abs(value), " ", model.columns[column].name);
    width += term.size();
    if (width > 200) {  // readers limit the length of a line
      text += "\n  ";
      width = term.size();
    }
    text += term;
  }
  return text.empty() ? " 0 " + model.columns[0].name : text;
}

}  // namespace

MilpModel build_milp(const Instance& instance, MilpForm form, double time_scale,
                     const MilpPruning& pruning) {
  return Builder(instance, form, time_scale, pruning).build();
}

std::string to_lp(const MilpModel& model) {
  std::vector<std::pair<size_t, double>> costs;
  for (size_t c = 0; c < model.columns.size(); ++c) costs.emplace_back(c, model.columns[c].cost);
  std::string text = str_cat("Minimize\n objective:", linear(model, costs), "\nSubject To\n");
  for (const MilpRow& row : model.rows) {
    const std::string body = linear(model, row.terms);
    const std::string_view sense = row.lower == row.upper  ? "="
                                   : std::isinf(row.lower) ? "<="
                                                           : ">=";
    const double side = std::isinf(row.lower) ? row.upper : row.lower;
    text += str_cat(" ", row.name, ":", body, " ", sense, " ", side, "\n");
  }
  text += "Binary\n";
  for (const MilpColumn& column : model.columns) {
    if (column.is_integer) text += str_cat(" ", column.name, "\n");
  }
  return text + "End\n";
}

std::string to_mps(const MilpModel& model) {
  std::string text = "NAME miqp\nROWS\n N objective\n";
  std::vector<std::vector<std::pair<size_t, double>>> by_column(model.columns.size());
  for (size_t r = 0; r < model.rows.size(); ++r) {
    const MilpRow& row = model.rows[r];
    const char* const sense = row.lower == row.upper ? "E" : std::isinf(row.lower) ? "L" : "G";
    text += str_cat(" ", sense, " ", row.name, "\n");
    for (const auto& [column, value] : row.terms) by_column[column].emplace_back(r, value);
  }
  text += "COLUMNS\n";
  bool integers = false;
  size_t markers = 0;
  for (size_t c = 0; c < model.columns.size(); ++c) {
    const MilpColumn& column = model.columns[c];
    if (column.is_integer != integers) {
      integers = column.is_integer;
      text += str_cat(" M", markers++, " 'MARKER' '", integers ? "INTORG" : "INTEND", "'\n");
    }
    text += str_cat(" ", column.name, " objective ", column.cost, "\n");
    for (const auto& [row, value] : by_column[c]) {
      text += str_cat(" ", column.name, " ", model.rows[row].name, " ", value, "\n");
    }
  }
  if (integers) text += str_cat(" M", markers, " 'MARKER' 'INTEND'\n");
  text += "RHS\n";
  for (const MilpRow& row : model.rows) {
    const double side = std::isinf(row.lower) ? row.upper : row.lower;
    if (side != 0) text += str_cat(" RHS ", row.name, " ", side, "\n");
  }
  text += "BOUNDS\n";
  for (const MilpColumn& column : model.columns) {
    if (column.is_integer) text += str_cat(" BV BND ", column.name, "\n");
  }
  return text + "ENDATA\n";
}

std::optional<Assignment> read_choices(const Instance& in, const MilpModel& model,
                                       const double* values) {
  Assignment plan;
  plan.stage.assign(in.layers, 0);
  plan.strategy.assign(in.layers, 0);
  std::vector<size_t> chosen(in.layers, 0);
  for (size_t c = 0; c < model.choices.size(); ++c) {
    if (std::abs(values[c] - std::round(values[c])) > 1e-4) return std::nullopt;
    if (std::lround(values[c]) != 1) continue;
    const MilpModel::Choice& choice = model.choices[c];
    ++chosen[choice.layer];
    plan.stage[choice.layer] = choice.stage;
    plan.strategy[choice.layer] = choice.strategy;
  }
  for (const size_t count : chosen) {
    if (count != 1) return std::nullopt;
  }
  return plan;
}

}  // namespace soapbox::miqp
