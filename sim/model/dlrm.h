// Deep learning recommendation models (Naumov et al., arXiv 1906.00091): embedding tables and two
// MLPs around an interaction of features. Each returns the training graph for `batch` samples.
#pragma once

#include <cstdint>

#include "sim/model/graph.h"

namespace soapbox {

Result<Model> build_dlrm(int64_t batch);
Result<Model> build_dlrm_dcnv2(int64_t batch);
Result<Model> build_dlrm_random(int64_t batch);

}  // namespace soapbox
