// Convolutional networks. Each returns the training graph for `batch` images per iteration.
#pragma once

#include <cstdint>

#include "sim/model/graph.h"

namespace soapbox {

Result<Model> build_alexnet(int64_t batch);
Result<Model> build_inception_v3(int64_t batch);
Result<Model> build_lenet(int64_t batch);
Result<Model> build_resnet101(int64_t batch);
Result<Model> build_vgg16(int64_t batch);

}  // namespace soapbox
