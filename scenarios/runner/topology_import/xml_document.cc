#include "scenarios/runner/topology_import/xml_document.h"

#include <expat.h>

#include <climits>
#include <memory>
#include <optional>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

constexpr size_t kDeepest = 64;

struct Reading {
  XML_Parser parser = nullptr;
  std::string file;
  std::vector<XmlElement> open;  // from the root to where the parser is
  std::optional<XmlElement> root;
  std::optional<Error> error;

  SourcePosition where() const {
    return {file, static_cast<int>(XML_GetCurrentLineNumber(parser)),
            static_cast<int>(XML_GetCurrentColumnNumber(parser)) + 1};
  }
  void refuse(std::string message) {
    if (!error) error = bad_input(std::move(message), where());
    XML_StopParser(parser, XML_FALSE);
  }
};

void on_start(void* data, const XML_Char* name, const XML_Char** attributes) {
  auto& reading = *static_cast<Reading*>(data);
  if (reading.open.size() == kDeepest) {
    return reading.refuse(str_cat("elements nested more than ", kDeepest, " deep"));
  }
  XmlElement element;
  element.name = name;
  element.where = reading.where();
  for (; *attributes != nullptr; attributes += 2) element.attributes[*attributes] = attributes[1];
  reading.open.push_back(std::move(element));
}

void on_end(void* data, const XML_Char*) {
  auto& reading = *static_cast<Reading*>(data);
  XmlElement element = std::move(reading.open.back());
  reading.open.pop_back();
  if (reading.open.empty()) {
    reading.root = std::move(element);
  } else {
    reading.open.back().children.push_back(std::move(element));
  }
}

void on_document_type(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  static_cast<Reading*>(data)->refuse("a document type is not allowed");
}

}  // namespace

Result<XmlElement> parse_xml(std::string_view text, const std::string& file) {
  if (text.size() > INT_MAX) return bad_input("the file is too large", {file});
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
      XML_ParserCreate(nullptr), XML_ParserFree);
  SOAPBOX_CHECK(parser != nullptr, "out of memory");
  Reading reading;
  reading.parser = parser.get();
  reading.file = file;
  XML_SetUserData(parser.get(), &reading);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_document_type);
  const XML_Status status =
      XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (reading.error) return *reading.error;
  if (status != XML_STATUS_OK) {
    return bad_input(
        str_cat("not well-formed XML: ", XML_ErrorString(XML_GetErrorCode(parser.get()))),
        reading.where());
  }
  return *std::move(reading.root);
}

}  // namespace soapbox::runner
