// XML as a tree of elements that know where they stand; text between them is not kept.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::runner {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::vector<XmlElement> children;
  SourcePosition where;
};

// The root element. Error: not well-formed, elements nested more than 64 deep, or a document type
// (entities could make a small file large).
Result<XmlElement> parse_xml(std::string_view text, const std::string& file);

}  // namespace soapbox::runner
