#include "strategies/galvatron/strategy.h"

#include <charconv>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::strategies::galvatron {
namespace {

// Reads a positive whole number off the front of `text`.
bool take_number(std::string_view& text, int32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string to_string(const LayerChoice& choice) {
  std::string text = str_cat(choice.pp, "-", choice.tp);
  if (choice.mixed() && choice.tp_consecutive) text += '*';
  text += str_cat("-", choice.dp);
  if (choice.fsdp) text += 'f';
  if (choice.mixed() && !choice.tp_consecutive) text += '*';
  if (choice.ulysses) text += "-sp";
  if (choice.checkpoint) text += "-c";
  return text;
}

Result<LayerChoice> parse_layer_choice(std::string_view text) {
  LayerChoice choice;
  std::string_view rest = text;
  bool dp_consecutive = false;
  bool good = take_number(rest, choice.pp) && take(rest, "-") && take_number(rest, choice.tp);
  if (good) choice.tp_consecutive = take(rest, "*");
  good = good && take(rest, "-") && take_number(rest, choice.dp);
  if (good) {
    choice.fsdp = take(rest, "f");
    dp_consecutive = take(rest, "*");
    choice.ulysses = take(rest, "-sp");
    choice.checkpoint = take(rest, "-c");
  }
  good = good && rest.empty() && !(choice.fsdp && choice.dp == 1);
  good = good && (choice.mixed() ? choice.tp_consecutive != dp_consecutive
                                 : !choice.tp_consecutive && !dp_consecutive);
  if (!good) {
    return bad_input(str_cat("strategy '", shown(text),
                             "' is not pp-tp-dp with one '*' where tp and dp are above 1"));
  }
  return choice;
}

std::vector<LayerChoice> decision_tree(int32_t devices, bool with_checkpoint) {
  SOAPBOX_CHECK(devices >= 1 && (devices & (devices - 1)) == 0, "devices: not a power of two");
  std::vector<LayerChoice> leaves;
  for (int32_t pp = 1; pp <= devices; pp *= 2) {
    for (int32_t tp = 1; tp <= devices / pp; tp *= 2) {
      LayerChoice leaf{.pp = pp, .tp = tp, .dp = devices / pp / tp};
      for (const bool fsdp : {false, true}) {
        for (const bool consecutive : {false, true}) {
          if ((fsdp && leaf.dp == 1) || (consecutive && !leaf.mixed())) continue;
          leaf.fsdp = fsdp;
          leaf.tp_consecutive = consecutive;
          leaves.push_back(leaf);
        }
      }
    }
  }
  if (with_checkpoint) {
    const size_t plain = leaves.size();
    for (size_t i = 0; i < plain; ++i) {
      LayerChoice leaf = leaves[i];
      leaf.checkpoint = true;
      leaves.push_back(leaf);
    }
  }
  return leaves;
}

}  // namespace soapbox::strategies::galvatron
