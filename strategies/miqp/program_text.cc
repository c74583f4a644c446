#include "strategies/miqp/program_text.h"

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

constexpr size_t kWidth = 100;

class Writer {
 public:
  explicit Writer(const Instance& in) : in_(in) {}

  std::string write() {
    write_variables();
    write_objective();
    write_terms();
    write_times();
    write_memory();
    write_choices();
    write_forbidden();
    return std::move(text_);
  }

 private:
  // "head = a + b + ..", broken into lines.
  void sum(const std::string& head, const std::vector<std::string>& terms,
           const std::string& tail = "") {
    std::string line = str_cat("  ", head, " ");
    for (size_t t = 0; t < terms.size(); ++t) {
      const std::string term = str_cat(t > 0 ? "+ " : "", terms[t], " ");
      if (line.size() + term.size() > kWidth) {
        line.back() = '\n';
        text_ += line;
        line = "      ";
      }
      line += term;
    }
    if (terms.empty()) line += "0 ";
    line += tail;
    if (line.back() == ' ') line.pop_back();
    text_ += str_cat(line, "\n");
  }
  void line(const std::string& text) { text_ += str_cat(text, "\n"); }
  static std::string indexed(std::string_view name, size_t a) { return str_cat(name, "[", a, "]"); }
  static std::string indexed(std::string_view name, size_t a, size_t b) {
    return str_cat(name, "[", a, ",", b, "]");
  }
  std::string time(int64_t units) const { return str_cat(real_time(in_, units)); }
  std::string memory(int64_t units) const { return str_cat(real_memory(in_, units)); }

  void write_variables() {
    line(str_cat("variables: ", in_.layers, " layers u, ", in_.stages, " stages i, ",
                 in_.strategies, " strategies k, ", in_.microbatches, " microbatches"));
    line("  (9) P[u,i] in {0, 1}   layer u is on stage i");
    line("  (9) S[u,k] in {0, 1}   layer u has strategy k");
    line("      p[i] >= 0          time of stage i");
    if (in_.stages > 1) line("      o[j] >= 0          time from stage j to stage j + 1");
  }

  void write_objective() {
    line("\nminimise");
    std::vector<std::string> terms;
    for (size_t i = 0; i < in_.stages; ++i) terms.push_back(indexed("p", i));
    for (size_t j = 0; j + 1 < in_.stages; ++j) terms.push_back(indexed("o", j));
    std::string most = join(terms, ", ");
    if (in_.microbatches > 1) terms.push_back(str_cat(in_.microbatches - 1, " max(", most, ")"));
    sum("(1) objective:", terms);
  }

  // What a layer or an edge costs, by its strategies: the quadratic terms below
  // multiply these.
  void write_terms() {
    line("\nwhere");
    for (size_t u = 0; u < in_.layers; ++u) {
      std::vector<std::string> terms;
      for (size_t k = 0; k < in_.strategies; ++k) {
        if (in_.allowed(u, k) && in_.compute_at(u, k) > 0) {
          terms.push_back(str_cat(time(in_.compute_at(u, k)), " ", indexed("S", u, k)));
        }
      }
      sum(str_cat(indexed("compute", u), " ="), terms);
    }
    for (size_t e = 0; e < in_.edges.size(); ++e) write_edge_terms(e);
  }

  void write_edge_terms(size_t e) {
    const Edge edge = in_.edges[e];
    std::vector<std::string> inside;
    std::vector<std::string> across;
    for (size_t k = 0; k < in_.strategies; ++k) {
      for (size_t l = 0; l < in_.strategies; ++l) {
        const std::string pair = str_cat(indexed("S", edge.from, k), " ", indexed("S", edge.to, l));
        for (auto [cost, terms] : {std::pair(in_.reshard_at(e, k, l), &inside),
                                   std::pair(in_.reshard_cross_at(e, k, l), &across)}) {
          if (cost > 0 && cost != kNotAllowed) terms->push_back(str_cat(time(cost), " ", pair));
        }
      }
    }
    sum(str_cat(indexed("reshard", edge.from, edge.to), " ="), inside);
    if (in_.stages > 1) {
      sum(str_cat(indexed("reshard_cross", edge.from, edge.to), " ="), across);
    }
  }

  void write_times() {
    line("\nsubject to");
    for (size_t i = 0; i < in_.stages; ++i) {
      std::vector<std::string> terms;
      for (size_t u = 0; u < in_.layers; ++u) {
        terms.push_back(str_cat(indexed("P", u, i), " ", indexed("compute", u)));
      }
      for (const Edge edge : in_.edges) {
        terms.push_back(str_cat(indexed("P", edge.from, i), " ", indexed("P", edge.to, i), " ",
                                indexed("reshard", edge.from, edge.to)));
      }
      sum(str_cat("(2) computation_stage[", i, "]: p[", i, "] ="), terms);
    }
    for (size_t j = 0; j + 1 < in_.stages; ++j) write_boundary(j);
  }

  void write_boundary(size_t j) {
    std::vector<std::string> terms;
    for (const Edge edge : in_.edges) {
      const std::string cost = indexed("reshard_cross", edge.from, edge.to);
      if (in_.long_edges == LongEdges::kFree) {
        terms.push_back(
            str_cat(indexed("P", edge.from, j), " ", indexed("P", edge.to, j + 1), " ", cost));
        continue;
      }
      // Charged at every boundary between its ends.
      for (size_t from = 0; from <= j; ++from) {
        for (size_t to = j + 1; to < in_.stages; ++to) {
          terms.push_back(
              str_cat(indexed("P", edge.from, from), " ", indexed("P", edge.to, to), " ", cost));
        }
      }
    }
    sum(str_cat("(3) communication_stage[", j, "]: o[", j, "] ="), terms);
  }

  void write_memory() {
    for (size_t i = 0; i < in_.stages; ++i) {
      std::vector<std::string> terms;
      for (size_t u = 0; u < in_.layers; ++u) {
        std::vector<std::string> choices;
        for (size_t k = 0; k < in_.strategies; ++k) {
          if (!in_.allowed(u, k) || in_.memory_at(i, u, k) == 0) continue;
          choices.push_back(str_cat(memory(in_.memory_at(i, u, k)), " ", indexed("S", u, k)));
        }
        if (choices.empty()) continue;
        terms.push_back(str_cat(indexed("P", u, i), " (", join(choices, " + "), ")"));
      }
      sum(str_cat("(4) memory[", i, "]:"), terms, str_cat("<= ", memory(in_.memory_limit[i])));
    }
  }

  void write_choices() {
    // The stage of a layer is sum_i i P[u,i]; stages that never run against an
    // edge are convex.
    const auto stage = [this](size_t u) {
      std::vector<std::string> terms;
      for (size_t i = 1; i < in_.stages; ++i) terms.push_back(str_cat(i, " ", indexed("P", u, i)));
      return terms;
    };
    for (size_t e = 0; e < in_.edges.size() && in_.stages > 1; ++e) {
      const Edge edge = in_.edges[e];
      sum(str_cat("(5) order[", edge.from, ",", edge.to, "]:"), stage(edge.from),
          str_cat("<= ", join(stage(edge.to), " + ")));
    }
    for (size_t u = 0; u < in_.layers; ++u) {
      std::vector<std::string> terms;
      for (size_t i = 0; i < in_.stages; ++i) terms.push_back(indexed("P", u, i));
      sum(str_cat("(6) placement[", u, "]:"), terms, "= 1");
    }
    for (size_t i = 0; i < in_.stages && !in_.empty_stages; ++i) {
      std::vector<std::string> terms;
      for (size_t u = 0; u < in_.layers; ++u) terms.push_back(indexed("P", u, i));
      sum(str_cat("(7) not_empty[", i, "]:"), terms, ">= 1");
    }
    for (size_t u = 0; u < in_.layers; ++u) {
      std::vector<std::string> terms;
      for (size_t k = 0; k < in_.strategies; ++k) terms.push_back(indexed("S", u, k));
      sum(str_cat("(8) selection[", u, "]:"), terms, "= 1");
    }
  }

  // Where a table of costs says null.
  void write_forbidden() {
    for (size_t u = 0; u < in_.layers; ++u) {
      for (size_t k = 0; k < in_.strategies; ++k) {
        if (!in_.allowed(u, k)) line(str_cat("  not_allowed: ", indexed("S", u, k), " = 0"));
      }
    }
    for (size_t e = 0; e < in_.edges.size(); ++e) {
      const Edge edge = in_.edges[e];
      for (size_t k = 0; k < in_.strategies; ++k) {
        for (size_t l = 0; l < in_.strategies; ++l) {
          const std::string pair =
              str_cat(indexed("S", edge.from, k), " ", indexed("S", edge.to, l), " = 0 where ",
                      edge.from, " and ", edge.to);
          if (in_.reshard_at(e, k, l) == kNotAllowed) {
            line(str_cat("  not_allowed: ", pair, " share a stage"));
          }
          if (in_.stages > 1 && in_.reshard_cross_at(e, k, l) == kNotAllowed) {
            line(str_cat("  not_allowed: ", pair, " are on ",
                         in_.long_edges == LongEdges::kFree ? "neighbouring" : "different",
                         " stages"));
          }
        }
      }
    }
  }

  const Instance& in_;
  std::string text_;
};

}  // namespace

std::string program_text(const Instance& instance) {
  return Writer(instance).write();
}

}  // namespace soapbox::miqp
