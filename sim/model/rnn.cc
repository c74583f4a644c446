// The recurrent models of FlexFlow's evaluation (SysML 2019, table 4): layers, hidden sizes, data
// sets and 40 unrolled steps are the paper's. It does not print vocabularies; each builder says
// where its own comes from. Embeddings are as wide as the hidden state, as in the authors' released
// simulator.
#include "sim/model/rnn.h"

#include <array>
#include <optional>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/str.h"
#include "sim/model/builder.h"

namespace soapbox {

namespace {

// A run of steps per operator, from the first to the last.
using Sequence = std::vector<OpId>;

Sequence embed(ModelBuilder& net, const SequenceLayer& layer, OpId tokens, Unrolled unrolled) {
  SOAPBOX_CHECK(unrolled.fused > 0 && unrolled.steps % unrolled.fused == 0,
                "fused steps divide all steps");
  Sequence embedded;
  for (int32_t step = 0; step < unrolled.steps / unrolled.fused; ++step) {
    embedded.push_back(net.embed(layer, step, tokens, unrolled.fused));
  }
  return embedded;
}

Sequence recur(ModelBuilder& net, const SequenceLayer& layer, const Sequence& inputs,
               std::optional<OpId> state = {}) {
  Sequence outputs;
  for (const OpId input : inputs) {
    state = net.lstm(layer, static_cast<int32_t>(outputs.size()), input, state);
    outputs.push_back(*state);
  }
  return outputs;
}

// Projects every step onto the vocabulary.
void predict(ModelBuilder& net, const Sequence& outputs, int64_t hidden, int64_t vocabulary) {
  const SequenceLayer projection = net.linear_layer("projection", hidden, vocabulary);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto step = static_cast<int32_t>(i);
    net.softmax_step("softmax", step, net.linear(projection, step, std::array{outputs[i]}));
  }
}

}  // namespace

// Text classification on Movie Reviews (Pang and Lee 2005): positive or negative, read off the last
// step. Vocabulary: 18,765 words, as Kim counts them (arXiv 1408.5882, table 1); an assumption.
Result<Model> build_rnntc(std::string name, int64_t batch, Unrolled unrolled) {
  constexpr int64_t kHidden = 1024;
  constexpr int64_t kVocabulary = 18765;
  constexpr int kLayers = 4;
  ModelBuilder net(std::move(name), batch);
  const OpId tokens = net.tokens("tokens", unrolled.steps);
  Sequence x = embed(net, net.embedding_layer("embedding", kVocabulary, kHidden), tokens, unrolled);
  for (int layer = 1; layer <= kLayers; ++layer) {
    x = recur(net, net.lstm_layer(str_cat("lstm", layer), kHidden, kHidden), x);
  }
  net.softmax("softmax", net.dense_last("classifier", x.back(), 2));
  return net.build();
}

// Language model on Penn Treebank, whose customary preparation keeps 10,000 words (Mikolov et al.,
// INTERSPEECH 2010).
Result<Model> build_rnnlm(std::string name, int64_t batch, Unrolled unrolled) {
  constexpr int64_t kHidden = 2048;
  constexpr int64_t kVocabulary = 10000;
  ModelBuilder net(std::move(name), batch);
  const OpId tokens = net.tokens("tokens", unrolled.steps);
  Sequence x = embed(net, net.embedding_layer("embedding", kVocabulary, kHidden), tokens, unrolled);
  x = recur(net, net.lstm_layer("lstm1", kHidden, kHidden), x);
  x = recur(net, net.lstm_layer("lstm2", kHidden, kHidden), x);
  predict(net, x, kHidden, kVocabulary);
  return net.build();
}

// Translation: two encoder and two decoder LSTM layers, attention on the last decoder layer. The
// decoder starts from the encoder's final states. Vocabulary 32,000, from the authors' released
// simulator; it agrees with the paper's figure 7b, where data parallelism on 64 GPUs moves
// 65.8 GiB = 2 * 64 * W * 4 bytes per iteration. Attention is Luong's (arXiv 1508.04025), with
// dot-product scores; the released simulator stands an LSTM layer in for it.
Result<Model> build_nmt(std::string name, int64_t batch, Unrolled unrolled) {
  constexpr int64_t kHidden = 1024;
  constexpr int64_t kVocabulary = 32000;
  ModelBuilder net(std::move(name), batch);
  const OpId source = net.tokens("source", unrolled.steps);
  const OpId target = net.tokens("target", unrolled.steps);
  const auto embedded = [&](const std::string& layer, OpId tokens) {
    return embed(net, net.embedding_layer(layer, kVocabulary, kHidden), tokens, unrolled);
  };
  const auto lstm = [&](const std::string& layer) {
    return net.lstm_layer(layer, kHidden, kHidden);
  };
  const Sequence encoder1 = recur(net, lstm("encoder_lstm1"), embedded("source_embedding", source));
  const Sequence encoder2 = recur(net, lstm("encoder_lstm2"), encoder1);
  const Sequence decoder1 =
      recur(net, lstm("decoder_lstm1"), embedded("target_embedding", target), encoder1.back());
  const Sequence decoder2 = recur(net, lstm("decoder_lstm2"), decoder1, encoder2.back());

  const OpId states = net.concat("encoder_states", encoder2, 1);
  const SequenceLayer combine = net.linear_layer("attention_combine", 2 * kHidden, kHidden);
  Sequence attended;
  for (size_t i = 0; i < decoder2.size(); ++i) {
    const auto step = static_cast<int32_t>(i);
    const OpId context = net.attention("attention", step, decoder2[i], states);
    attended.push_back(net.linear(combine, step, std::array{context, decoder2[i]}));
  }
  predict(net, attended, kHidden, kVocabulary);
  return net.build();
}

}  // namespace soapbox
