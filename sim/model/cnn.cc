#include "sim/model/cnn.h"

#include <array>
#include <string>

#include "sim/base/str.h"
#include "sim/model/builder.h"

namespace soapbox {

// Krizhevsky, "One weird trick" (arXiv 1404.5997), as FlexFlow builds it for 224 x 224 images.
// Pooling pads by one, so that 55 -> 28 -> 14 -> 7 and fc6 reads 7 x 7 x 256: these 74.7 M
// parameters are the ones behind OptCNN's published communication volume (ICML 2018, figure 8).
Result<Model> build_alexnet(int64_t batch) {
  ModelBuilder net("alexnet", batch);
  constexpr PerChannel kBias = PerChannel::kBias;
  OpId x = net.images("images", 3, 224);
  x = net.conv("conv1", x, 64, square(11, 4, 2), kBias);
  x = net.pool("pool1", x, square(3, 2, 1));
  x = net.conv("conv2", x, 192, square(5, 1, 2), kBias);
  x = net.pool("pool2", x, square(3, 2, 1));
  x = net.conv("conv3", x, 384, square(3, 1, 1), kBias);
  x = net.conv("conv4", x, 256, square(3, 1, 1), kBias);
  x = net.conv("conv5", x, 256, square(3, 1, 1), kBias);
  x = net.pool("pool5", x, square(3, 2, 1));
  x = net.dense("fc6", x, 4096);
  x = net.dense("fc7", x, 4096);
  x = net.dense("fc8", x, 1000);
  net.softmax("softmax", x);
  return net.build();
}

// LeCun et al., "Gradient-based learning applied to document recognition" (1998), figure 2: 32 x 32
// grey images. C3 is fully connected to S2's maps and the output layer is a softmax, as in today's
// frameworks; S2 and S4 have no weights.
Result<Model> build_lenet(int64_t batch) {
  ModelBuilder net("lenet", batch);
  OpId x = net.images("images", 1, 32);
  x = net.conv("conv1", x, 6, square(5), PerChannel::kBias);
  x = net.pool("pool1", x, square(2, 2));
  x = net.conv("conv2", x, 16, square(5), PerChannel::kBias);
  x = net.pool("pool2", x, square(2, 2));
  x = net.dense("fc3", x, 120);
  x = net.dense("fc4", x, 84);
  x = net.dense("fc5", x, 10);
  net.softmax("softmax", x);
  return net.build();
}

// Simonyan and Zisserman, arXiv 1409.1556, table 1, column D.
Result<Model> build_vgg16(int64_t batch) {
  ModelBuilder net("vgg16", batch);
  struct Stage {
    int convolutions;
    int64_t channels;
  };
  constexpr std::array<Stage, 5> kStages = {{{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}};
  OpId x = net.images("images", 3, 224);
  for (size_t s = 0; s < kStages.size(); ++s) {
    for (int c = 1; c <= kStages[s].convolutions; ++c) {
      x = net.conv(str_cat("conv", s + 1, "_", c), x, kStages[s].channels, square(3, 1, 1),
                   PerChannel::kBias);
    }
    x = net.pool(str_cat("pool", s + 1), x, square(2, 2));
  }
  x = net.dense("fc6", x, 4096);
  x = net.dense("fc7", x, 4096);
  x = net.dense("fc8", x, 1000);
  net.softmax("softmax", x);
  return net.build();
}

namespace {

// A bottleneck of three convolutions and its shortcut; the first of a stage changes channels, and
// its shortcut is a convolution too. The 3 x 3 carries the stride, as FlexFlow and today's
// frameworks have it.
OpId bottleneck(ModelBuilder& net, const std::string& name, OpId input, int64_t width,
                int64_t stride, bool first) {
  constexpr PerChannel kNorm = PerChannel::kBatchNorm;
  OpId x = net.conv(name + "_conv1", input, width, square(1), kNorm);
  x = net.conv(name + "_conv2", x, width, square(3, stride, 1), kNorm);
  x = net.conv(name + "_conv3", x, 4 * width, square(1), kNorm);
  const OpId shortcut =
      first ? net.conv(name + "_shortcut", input, 4 * width, square(1, stride), kNorm) : input;
  return net.add(name + "_add", x, shortcut);
}

}  // namespace

// He et al., arXiv 1512.03385, table 1, column 101-layer. FlexFlow's released graph leaves out the
// shortcuts; they are here.
Result<Model> build_resnet101(int64_t batch) {
  ModelBuilder net("resnet101", batch);
  constexpr std::array<int, 4> kBlocks = {3, 4, 23, 3};
  OpId x = net.images("images", 3, 224);
  x = net.conv("conv1", x, 64, square(7, 2, 3), PerChannel::kBatchNorm);
  x = net.pool("pool1", x, square(3, 2, 1));
  int64_t width = 64;
  for (size_t stage = 0; stage < kBlocks.size(); ++stage) {
    for (int block = 1; block <= kBlocks[stage]; ++block) {
      const bool first = block == 1;
      const int64_t stride = first && stage > 0 ? 2 : 1;
      x = bottleneck(net, str_cat("conv", stage + 2, "_", block), x, width, stride, first);
    }
    width *= 2;
  }
  x = net.pool_all("pool5", x);
  x = net.dense("fc", x, 1000);
  net.softmax("softmax", x);
  return net.build();
}

}  // namespace soapbox
