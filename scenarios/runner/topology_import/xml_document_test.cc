#include "scenarios/runner/topology_import/xml_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

TEST(XmlDocument, ElementsKnowTheirAttributesAndPlaces) {
  const Result<XmlElement> root =
      parse_xml("<a x=\"1\">\n  <b y='&lt;2'/>\n  text\n  <c><d/></c>\n</a>", "f.xml");
  ASSERT_TRUE(root) << root.error().to_string();
  EXPECT_EQ(root->name, "a");
  EXPECT_EQ(root->attributes.at("x"), "1");
  ASSERT_EQ(root->children.size(), 2u);
  EXPECT_EQ(root->children[0].attributes.at("y"), "<2");
  EXPECT_EQ(root->children[0].where.line, 2);
  EXPECT_EQ(root->children[0].where.column, 3);
  EXPECT_EQ(root->children[1].children[0].where.column, 6);
}

TEST(XmlDocument, DamageIsRefusedAtItsPlace) {
  const auto error = [](std::string_view text) {
    const Result<XmlElement> root = parse_xml(text, "f.xml");
    EXPECT_FALSE(root) << text;
    return root ? "" : root.error().to_string();
  };
  EXPECT_THAT(error("<a>\n<b></a>"), HasSubstr("f.xml:2:6: not well-formed XML: mismatched tag"));
  EXPECT_THAT(error(""), HasSubstr("f.xml:1:1: not well-formed XML"));
  EXPECT_THAT(error("<a x=1/>"), HasSubstr("f.xml:1:6"));
  EXPECT_THAT(error("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>"), HasSubstr("document type"));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  EXPECT_THAT(error(deep), HasSubstr("nested more than 64 deep"));
}

}  // namespace
}  // namespace soapbox::runner
