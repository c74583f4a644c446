#include "scenarios/runner/options.h"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <charconv>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace po = boost::program_options;
namespace {

constexpr Option kHelp = {"help", "", "show this help"};
constexpr const char* kPositional = "positional";

std::vector<std::string> option_names(const Syntax& syntax) {
  std::vector<std::string> names;
  for (const Option& option : syntax.options) names.push_back(str_cat("--", option.name));
  names.push_back("--help");
  return names;
}

Error unknown_option(const Syntax& syntax, const std::string& word) {
  const std::string given = word.substr(0, word.find('='));
  if (syntax.command.empty())
    return usage_error(unknown_name("option", given, option_names(syntax)));
  return usage_error(unknown_name(str_cat(syntax.command, " option"), given, option_names(syntax)));
}

po::options_description describe(const Syntax& syntax) {
  po::options_description description;
  for (const Option& option : syntax.options) {
    const std::string name(option.name);
    if (option.value.empty()) {
      description.add_options()(name.c_str(), "");
    } else {
      description.add_options()(name.c_str(), po::value<std::string>(), "");
    }
  }
  description.add_options()("help", "");
  description.add_options()(kPositional, po::value<std::vector<std::string>>(), "");
  return description;
}

// Abbreviations (allow_guessing) stay off: a script that uses one breaks when an option is added.
Result<std::vector<po::option>> split(const Syntax& syntax, std::span<const std::string> words) {
  const po::options_description description = describe(syntax);
  const po::positional_options_description positional =
      po::positional_options_description().add(kPositional, -1);
  try {
    namespace style = po::command_line_style;
    return po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
        .options(description)
        .positional(positional)
        .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
        .run()
        .options;
  } catch (const po::unknown_option& error) {
    return unknown_option(syntax, error.get_option_name());
  } catch (const po::error& error) {
    std::string message = error.what();
    return usage_error(str_cat(syntax.command, ": ", message));
  }
}

}  // namespace

Error usage_error(std::string message) {
  return Error{ErrorCode::kUsage, std::move(message), {}};
}

Result<Arguments> Arguments::parse(const Syntax& syntax, std::span<const std::string> words) {
  std::vector<std::string> expanded(words.begin(), words.end());
  for (std::string& word : expanded) {
    if (word == "-h") word = "--help";
    // Boost would take this internal name as an option; nobody may give it.
    if (word.starts_with(str_cat("--", kPositional))) return unknown_option(syntax, word);
  }
  Result<std::vector<po::option>> options = split(syntax, expanded);
  if (!options) return options.error();
  Arguments arguments;
  arguments.command_ = syntax.command;
  arguments.options_ = syntax.options;
  for (const po::option& option : *options) {
    if (option.string_key == kPositional) {
      for (const std::string& word : option.value) {
        if (word.size() > 1 && word.front() == '-') return unknown_option(syntax, word);
        arguments.positional_.push_back(word);
      }
      continue;
    }
    const std::string value = option.value.empty() ? "" : option.value.front();
    // "--out --format json": Boost takes the next word whatever it is.
    if (option.original_tokens.size() > 1 && value.starts_with("--")) {
      return usage_error(str_cat(syntax.command, ": option --", option.string_key,
                                 " needs a value before '", value, "'"));
    }
    if (!option.value.empty() && value.empty()) {
      return usage_error(str_cat(syntax.command, ": option --", option.string_key, " is empty"));
    }
    if (!arguments.values_.emplace(option.string_key, value).second) {
      return usage_error(
          str_cat(syntax.command, ": option --", option.string_key, " is given twice"));
    }
  }
  if (arguments.has("help")) return arguments;
  const size_t count = arguments.positional_.size();
  if (count > syntax.max_positional) {
    return usage_error(str_cat(syntax.command, ": unexpected argument '",
                               arguments.positional_[syntax.max_positional], "'"));
  }
  if (count < syntax.min_positional) {
    return usage_error(str_cat(syntax.command, ": missing argument ", syntax.positional));
  }
  return arguments;
}

std::optional<std::string> Arguments::text(std::string_view option) const {
  const auto found = values_.find(std::string(option));
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::string Arguments::text_or(std::string_view option, std::string_view fallback) const {
  return text(option).value_or(std::string(fallback));
}

Result<std::string> Arguments::required(std::string_view option) const {
  const auto found = values_.find(std::string(option));
  if (found == values_.end()) {
    const auto known = std::ranges::find(options_, option, &Option::name);
    const std::string what =
        known == options_.end() ? "" : str_cat(": ", known->value, ", ", known->help);
    return usage_error(str_cat(command_, ": option --", option, " is required", what));
  }
  return found->second;
}

Result<std::optional<int64_t>> Arguments::whole_number(std::string_view option, int64_t lowest,
                                                       int64_t highest) const {
  const auto found = values_.find(std::string(option));
  if (found == values_.end()) return std::optional<int64_t>();
  const std::string& word = found->second;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size() || number < lowest ||
      number > highest) {
    return usage_error(str_cat(command_, ": --", option, " '", word,
                               "' is not a whole number from ", lowest, " to ", highest));
  }
  return std::optional<int64_t>(number);
}

Result<std::optional<double>> Arguments::number(std::string_view option, double lowest,
                                                double highest) const {
  const auto found = values_.find(std::string(option));
  if (found == values_.end()) return std::optional<double>();
  const std::string& word = found->second;
  double number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const bool in_range = number >= lowest && number <= highest;  // neither holds for "nan"
  if (error != std::errc() || end != word.data() + word.size() || !in_range) {
    return usage_error(str_cat(command_, ": --", option, " '", word, "' is not a number from ",
                               lowest, " to ", highest));
  }
  return std::optional<double>(number);
}

Result<std::string> Arguments::word(std::string_view option, std::string_view fallback,
                                    std::span<const std::string_view> known) const {
  std::string given = text_or(option, fallback);
  if (std::ranges::find(known, given) != known.end()) return given;
  const std::vector<std::string> names(known.begin(), known.end());
  return usage_error(
      str_cat(command_, ": ", unknown_name(str_cat("--", option), shown(given), names)));
}

Result<bool> Arguments::on_or_off(std::string_view option, bool fallback) const {
  constexpr std::array<std::string_view, 2> kWords = {"on", "off"};
  const Result<std::string> given = word(option, kWords[fallback ? 0 : 1], kWords);
  if (!given) return given.error();
  return *given == "on";
}

Error Arguments::refused(std::string_view option, const Error& error) const {
  return usage_error(str_cat(command_, ": --", option, ": ", error.message));
}

std::string help_text(const Syntax& syntax, std::string_view summary) {
  std::string text = str_cat("soapbox ", syntax.command);
  if (!syntax.positional.empty()) text += str_cat(" ", syntax.positional);
  text += str_cat(" [options]\n\n", summary, "\n\nOptions:\n");
  std::vector<Option> options = syntax.options;
  options.push_back(kHelp);
  size_t width = 0;
  const auto left_side = [](const Option& option) {
    return option.value.empty() ? str_cat("--", option.name)
                                : str_cat("--", option.name, " ", option.value);
  };
  for (const Option& option : options) width = std::max(width, left_side(option).size());
  for (const Option& option : options) {
    std::string left = left_side(option);
    left.resize(width, ' ');
    text += str_cat("  ", left, "  ", option.help, "\n");
  }
  if (!syntax.details.empty()) text += str_cat("\n", syntax.details, "\n");
  return text;
}

}  // namespace soapbox::runner
