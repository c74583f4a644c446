#include "scenarios/runner/model_files/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/fingerprint.h"
#include "scenarios/runner/test_problem.h"
#include "sim/base/str.h"
#include "sim/model/models.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

Result<Model> read(const std::string& text, const std::string& name = "m",
                   const BatchChoice& batch = {}) {
  const Result<TomlTable> file = parse_toml(text, "m.toml");
  if (!file) return file.error();
  return model_from_toml(*file, name, batch);
}

std::string layer(const std::string& name, const std::string& kind, const std::string& keys = "") {
  return str_cat("[[layer]]\nname = \"", name, "\"\nkind = \"", kind, "\"\n", keys, "\n");
}

// Everything that the simulator reads of a model, as one hash.
std::string hash_of(const Model& model) {
  const auto loaded = load_for_test(lenet_on_four());
  return fingerprint({model, loaded->cluster(), loaded->costs(), {}});
}

TEST(ModelFile, TranslationIsTheSameModelAsTheBuiltInOne) {
  const std::string text =
      "batch_per_device = 64\n" + layer("source", "tokens", "length = 40\nsteps_per_operator = 8") +
      layer("target", "tokens", "length = 40\nsteps_per_operator = 8") +
      layer("source_embedding", "embedding",
            "input = \"source\"\nvocabulary = 32000\nchannels = 1024") +
      layer("encoder_lstm1", "lstm", "hidden = 1024") +
      layer("encoder_lstm2", "lstm", "hidden = 1024") +
      layer("target_embedding", "embedding",
            "input = \"target\"\nvocabulary = 32000\nchannels = 1024") +
      layer("decoder_lstm1", "lstm", "hidden = 1024\ninitial = \"encoder_lstm1\"") +
      layer("decoder_lstm2", "lstm", "hidden = 1024\ninitial = \"encoder_lstm2\"") +
      layer("attention", "attention", "states = \"encoder_lstm2\"") +
      layer("attention_combine", "linear",
            "inputs = [\"attention\", \"decoder_lstm2\"]\nchannels = 1024") +
      layer("projection", "linear", "channels = 32000") + layer("softmax", "softmax");
  const Result<Model> model = read(text, "nmt");
  ASSERT_TRUE(model) << model.error().to_string();
  const Result<Model> built_in = build_model("nmt", 64);
  EXPECT_EQ(model->graph.parameter_count(), built_in->graph.parameter_count());
  EXPECT_EQ(model->graph.forward_flops(), built_in->graph.forward_flops());
  EXPECT_EQ(model->graph.ops().size(), built_in->graph.ops().size());
  EXPECT_EQ(model->graph.edges().size(), built_in->graph.edges().size());
}

TEST(ModelFile, LeNetIsTheBuiltInOneToTheLastFigure) {
  // As in sim/model/cnn.cc; compared by the hash over every operator, weight and cost.
  const Result<Model> built_in = build_model("lenet", 64);
  std::string text = "batch_per_device = 64\n";
  for (const Operator& op : built_in->graph.ops()) {
    const std::string channels = str_cat("channels = ", op.dims[1].size);
    switch (op.kind) {
      case OpKind::kInput:
        text += layer(op.name, "images", str_cat(channels, "\nsize = ", op.dims[2].size));
        break;
      case OpKind::kConv2d:
        text += layer(op.name, "conv", str_cat(channels, "\nkernel = ", op.kernel_h));
        break;
      case OpKind::kPool2d:
        text += layer(op.name, "pool", str_cat("kernel = ", op.kernel_h, "\nstride = 2"));
        break;
      case OpKind::kLinear:
        text += layer(op.name, "dense", channels);
        break;
      default:
        text += layer(op.name, "softmax");
    }
  }
  const Result<Model> model = read(text, "lenet");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(hash_of(*model), hash_of(*built_in));
}

TEST(ModelFile, AShortcutAndAnInceptionBranchJoinWhatTheyRead) {
  const std::string text =
      "batch_per_device = 2\n" + layer("x", "images", "channels = 4\nsize = 8") +
      layer("a", "conv", "channels = 4\nkernel = 3\npadding = 1\nextra = \"batch_norm\"") +
      layer("sum", "add", "inputs = [\"x\", \"a\"]") +
      layer("b", "conv", "input = \"x\"\nchannels = 6\nkernel = 1\nextra = \"nothing\"") +
      layer("both", "concat", "inputs = [\"sum\", \"b\"]") + layer("mean", "pool_all") +
      layer("out", "dense", "channels = 10");
  const Result<Model> model = read(text);
  ASSERT_TRUE(model) << model.error().to_string();
  // a: 4 x (4 x 9 + 2), b: 6 x 4, out: 10 x (4 + 6 + 1).
  EXPECT_EQ(model->graph.parameter_count(), 4 * 38 + 6 * 4 + 10 * 11);
  EXPECT_EQ(model->graph.edges().size(), 8u);
}

TEST(ModelFile, TheBatchIsGivenOrPerDevice) {
  const std::string text =
      "batch_per_device = 3\n" + layer("x", "images", "channels = 1\nsize = 4");
  EXPECT_EQ(read(text, "m", {std::nullopt, 4})->batch, 12);
  EXPECT_EQ(read(text, "m", {7, 4})->batch, 7);
}

TEST(ModelFile, TheShippedFilesHaveTheirPublishedParameters) {
  const Result<LoadedModel> vgg19 = load_model(*find_scenarios(), "vgg19", {});
  ASSERT_TRUE(vgg19) << vgg19.error().to_string();
  EXPECT_EQ(vgg19->model.graph.parameter_count(), 143'667'240);
  EXPECT_EQ(vgg19->model.name, "vgg19");
}

std::string refusal(const std::string& text) {
  const Result<Model> model = read(text);
  if (model) return "accepted";
  EXPECT_EQ(model.error().code, ErrorCode::kBadInput);
  return model.error().to_string();
}

TEST(ModelFile, MistakesAreRefusedAtTheirPlace) {
  const std::string head =
      "batch_per_device = 2\n" + layer("x", "images", "channels = 4\nsize = 8");  // lines 1 to 7
  EXPECT_THAT(refusal("batch_per_device = 2\n"), HasSubstr("at least one [[layer]]"));
  EXPECT_THAT(refusal(layer("x", "images", "channels = 4\nsize = 8")),
              HasSubstr("missing key 'batch_per_device'"));
  EXPECT_THAT(refusal(head + layer("a", "cnv")),
              AllOf(HasSubstr("m.toml:9:8: "), HasSubstr("did you mean 'conv'")));
  EXPECT_THAT(refusal(head + layer("a", "conv", "channels = 4\nkernel = 3\npading = 1")),
              AllOf(HasSubstr("m.toml:12:1: "), HasSubstr("did you mean 'padding'")));
  EXPECT_THAT(refusal(head + layer("a", "conv", "channels = 4")),
              HasSubstr("missing key 'kernel'"));
  EXPECT_THAT(refusal(head + layer("a", "conv", "channels = 0\nkernel = 3")),
              HasSubstr("m.toml:10:12: "));
  EXPECT_THAT(refusal(head + layer("a", "pool", "kernel = 9")),
              HasSubstr("a window of 9 with padding 0 does not fit an image of 8"));
  EXPECT_THAT(refusal(head + layer("x", "pool_all")), HasSubstr("two layers are called 'x'"));
  EXPECT_THAT(refusal(head + layer("a", "dense", "input = \"y\"\nchannels = 4")),
              AllOf(HasSubstr("m.toml:10:9: "), HasSubstr("unknown layer above 'y'")));
  EXPECT_THAT(refusal(head + layer("a", "lstm", "hidden = 4")),
              HasSubstr("'x' gives images; this layer reads a sequence"));
  EXPECT_THAT(refusal(head + layer("a", "conv", "channels = 3\nkernel = 1") +
                      layer("s", "add", "inputs = [\"x\", \"a\"]")),
              HasSubstr("two layers of one shape"));
  EXPECT_THAT(refusal(head + layer("a", "pool", "kernel = 2\nstride = 2") +
                      layer("s", "concat", "inputs = [\"x\", \"a\"]")),
              HasSubstr("differ in their channels only"));
  EXPECT_THAT(refusal("batch_per_device = 2\n" + layer("a", "pool_all")),
              HasSubstr("the first layer is images or tokens"));
  EXPECT_THAT(refusal("batch_per_device = 2\n" +
                      layer("t", "tokens", "length = 10\nsteps_per_operator = 4")),
              HasSubstr("4 does not divide the length 10"));
}

TEST(ModelFile, AHugeBatchIsRefused) {
  const std::string text =
      "batch_per_device = 16777216\n" + layer("x", "images", "channels = 1\nsize = 4");
  EXPECT_TRUE(read(text, "m", {std::nullopt, 1}));
  EXPECT_THAT(read(text, "m", {std::nullopt, 2}).error().to_string(),
              HasSubstr("batch must be from 1 to 16777216"));
}

}  // namespace
}  // namespace soapbox::runner
