// Inception-v3 (Szegedy et al., arXiv 1512.00567) for 299 x 299 images, without the auxiliary
// classifier, as FlexFlow and OptCNN build it. Every convolution is followed by a batch
// normalisation.
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "sim/base/str.h"
#include "sim/model/builder.h"
#include "sim/model/cnn.h"

namespace soapbox {

namespace {

constexpr Window kPoint = square(1);
constexpr Window kSame3 = square(3, 1, 1);  // keeps the image's size
constexpr Window kHalve3 = square(3, 2);    // halves it
constexpr Window kWide3 = {1, 3, 1, 0, 1};
constexpr Window kTall3 = {3, 1, 1, 1, 0};
constexpr Window kWide7 = {1, 7, 1, 0, 3};
constexpr Window kTall7 = {7, 1, 1, 3, 0};

// Adds one module's operators under the module's name.
class Module {
 public:
  Module(ModelBuilder& net, std::string name) : net_(net), name_(std::move(name)) {}

  OpId conv(std::string_view name, OpId input, int64_t channels, Window window) {
    return net_.conv(str_cat(name_, "_", name), input, channels, window, PerChannel::kBatchNorm);
  }
  OpId pool(OpId input, Window window) { return net_.pool(name_ + "_pool", input, window); }
  template <class... Branches>
  OpId concat(Branches... branches) {
    return net_.concat(name_ + "_concat", std::array{branches...}, 1);
  }

 private:
  ModelBuilder& net_;
  std::string name_;
};

// 35 x 35, figure 5 with one 5 x 5.
OpId module_a(Module net, OpId x, int64_t pool_channels) {
  const OpId a = net.conv("1x1", x, 64, kPoint);
  OpId b = net.conv("5x5_1", x, 48, kPoint);
  b = net.conv("5x5_2", b, 64, square(5, 1, 2));
  OpId c = net.conv("3x3_1", x, 64, kPoint);
  c = net.conv("3x3_2", c, 96, kSame3);
  c = net.conv("3x3_3", c, 96, kSame3);
  const OpId d = net.conv("pool_1x1", net.pool(x, kSame3), pool_channels, kPoint);
  return net.concat(a, b, c, d);
}

// 35 x 35 to 17 x 17, figure 10.
OpId module_b(Module net, OpId x) {
  const OpId a = net.conv("3x3", x, 384, kHalve3);
  OpId b = net.conv("3x3_1", x, 64, kPoint);
  b = net.conv("3x3_2", b, 96, kSame3);
  b = net.conv("3x3_3", b, 96, kHalve3);
  return net.concat(a, b, net.pool(x, kHalve3));
}

// 17 x 17, figure 6 with n = 7.
OpId module_c(Module net, OpId x, int64_t channels) {
  const OpId a = net.conv("1x1", x, 192, kPoint);
  OpId b = net.conv("7x7_1", x, channels, kPoint);
  b = net.conv("7x7_2", b, channels, kWide7);
  b = net.conv("7x7_3", b, 192, kTall7);
  OpId c = net.conv("double_1", x, channels, kPoint);
  c = net.conv("double_2", c, channels, kTall7);
  c = net.conv("double_3", c, channels, kWide7);
  c = net.conv("double_4", c, channels, kTall7);
  c = net.conv("double_5", c, 192, kWide7);
  const OpId d = net.conv("pool_1x1", net.pool(x, kSame3), 192, kPoint);
  return net.concat(a, b, c, d);
}

// 17 x 17 to 8 x 8.
OpId module_d(Module net, OpId x) {
  OpId a = net.conv("3x3_1", x, 192, kPoint);
  a = net.conv("3x3_2", a, 320, kHalve3);
  OpId b = net.conv("7x7_1", x, 192, kPoint);
  b = net.conv("7x7_2", b, 192, kWide7);
  b = net.conv("7x7_3", b, 192, kTall7);
  b = net.conv("7x7_4", b, 192, kHalve3);
  return net.concat(a, b, net.pool(x, kHalve3));
}

// 8 x 8, figure 7.
OpId module_e(Module net, OpId x) {
  const OpId a = net.conv("1x1", x, 320, kPoint);
  const OpId b = net.conv("3x3_1", x, 384, kPoint);
  const OpId b_wide = net.conv("3x3_2a", b, 384, kWide3);
  const OpId b_tall = net.conv("3x3_2b", b, 384, kTall3);
  OpId c = net.conv("double_1", x, 448, kPoint);
  c = net.conv("double_2", c, 384, kSame3);
  const OpId c_wide = net.conv("double_3a", c, 384, kWide3);
  const OpId c_tall = net.conv("double_3b", c, 384, kTall3);
  const OpId d = net.conv("pool_1x1", net.pool(x, kSame3), 192, kPoint);
  return net.concat(a, b_wide, b_tall, c_wide, c_tall, d);
}

}  // namespace

Result<Model> build_inception_v3(int64_t batch) {
  ModelBuilder net("inception_v3", batch);
  constexpr PerChannel kNorm = PerChannel::kBatchNorm;
  OpId x = net.images("images", 3, 299);
  x = net.conv("conv1", x, 32, square(3, 2), kNorm);
  x = net.conv("conv2", x, 32, square(3), kNorm);
  x = net.conv("conv3", x, 64, kSame3, kNorm);
  x = net.pool("pool3", x, kHalve3);
  x = net.conv("conv4", x, 80, kPoint, kNorm);
  x = net.conv("conv5", x, 192, square(3), kNorm);
  x = net.pool("pool5", x, kHalve3);
  x = module_a({net, "a1"}, x, 32);
  x = module_a({net, "a2"}, x, 64);
  x = module_a({net, "a3"}, x, 64);
  x = module_b({net, "b"}, x);
  x = module_c({net, "c1"}, x, 128);
  x = module_c({net, "c2"}, x, 160);
  x = module_c({net, "c3"}, x, 160);
  x = module_c({net, "c4"}, x, 192);
  x = module_d({net, "d"}, x);
  x = module_e({net, "e1"}, x);
  x = module_e({net, "e2"}, x);
  x = net.pool_all("pool", x);
  x = net.dense("fc", x, 1000);
  net.softmax("softmax", x);
  return net.build();
}

}  // namespace soapbox
