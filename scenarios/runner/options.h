// The command line as data: what a command accepts gives its parser, its errors and its help.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::runner {

struct Option {
  std::string_view name;   // "devices" is given as --devices N or --devices=N
  std::string_view value;  // what stands for its value in the help, e.g. "N"; empty: a switch
  std::string_view help;
};

struct Syntax {
  std::string_view command;
  std::string_view positional = {};  // as the help shows it, e.g. "EXPERIMENT.toml"; empty: none
  size_t min_positional = 0;
  size_t max_positional = 0;
  std::vector<Option> options = {};
  std::string_view details = {};  // paragraphs of the help, below the options
};

class Arguments {
 public:
  // Refuses unknown, repeated, abbreviated and valueless options, and stray words: an error with
  // the nearest name. Every command also takes --help.
  static Result<Arguments> parse(const Syntax& syntax, std::span<const std::string> words);

  bool has(std::string_view option) const { return values_.contains(std::string(option)); }
  std::optional<std::string> text(std::string_view option) const;
  std::string text_or(std::string_view option, std::string_view fallback) const;
  // The value of a required option.
  Result<std::string> required(std::string_view option) const;
  // A whole number in [lowest, highest], or nothing where the option was not given.
  Result<std::optional<int64_t>> whole_number(std::string_view option, int64_t lowest,
                                              int64_t highest) const;
  // A finite number in [lowest, highest], or nothing where the option was not given.
  Result<std::optional<double>> number(std::string_view option, double lowest,
                                       double highest) const;
  // One of `known`; the fallback where the option was not given.
  Result<std::string> word(std::string_view option, std::string_view fallback,
                           std::span<const std::string_view> known) const;
  Result<bool> on_or_off(std::string_view option, bool fallback) const;
  // What `read` makes of the option's text, or of the fallback. It reads files, too: what it
  // refuses is here an error of the command line.
  template <class T>
  Result<T> parsed(std::string_view option, std::string_view fallback,
                   Result<T> (*read)(std::string_view)) const {
    Result<T> value = read(text_or(option, fallback));
    if (!value) return refused(option, value.error());
    return value;
  }
  // The error of a value that something else refused.
  Error refused(std::string_view option, const Error& error) const;
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::string command_;
  std::vector<Option> options_;  // that the command takes
  std::map<std::string, std::string> values_;
  std::vector<std::string> positional_;
};

std::string help_text(const Syntax& syntax, std::string_view summary);

// An error about the command line (exit code 2).
Error usage_error(std::string message);

}  // namespace soapbox::runner
