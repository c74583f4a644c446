#include "sim/model/cnn.h"

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

}  // namespace soapbox
