#include "calib/cuda/product.h"

#include <memory>

namespace soapbox::calib::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;  // what frameworks give it on Hopper

cudaDataType_t element(DataType type) {
  switch (type) {
    case DataType::kBf16:
      return CUDA_R_16BF;
    case DataType::kFp16:
      return CUDA_R_16F;
    case DataType::kFp8:
      return CUDA_R_8F_E4M3;
    default:
      return CUDA_R_32F;
  }
}

// The library's descriptors, column-major: there c^T (n x m) = b^T a^T.
class Prepared {
 public:
  Prepared(const Gpu& gpu, const Product& product) {
    const bool tn = product.layout == Layout::kTn;
    const bool nt = product.layout == Layout::kNt;
    const cublasComputeType_t compute =
        product.type == DataType::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&operation_, compute, CUDA_R_32F));
    const cublasOperation_t op_a = tn ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_b = nt ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, op_a);
    set(CUBLASLT_MATMUL_DESC_TRANSB, op_b);
    if (product.relu) set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU);
    const auto [batch, m, n, k, layout, type, relu, times] = product;
    const cudaDataType_t in = element(type);
    const cudaDataType_t out = type == DataType::kFp8 ? CUDA_R_16BF : in;
    // The library's first operand is our second.
    make_layout(&first_, in, tn ? k : n, tn ? n : k, batch);
    make_layout(&second_, in, nt ? m : k, nt ? k : m, batch);
    make_layout(&result_, out, n, m, batch);
    check(cublasLtMatmulPreferenceCreate(&preference_));
    check(cublasLtMatmulPreferenceSetAttribute(
        preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof kWorkspace));
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(gpu.cublas(), operation_, first_, second_, result_,
                                         result_, preference_, 1, &chosen_, &found));
    if (found == 0) throw Failure("cuBLAS: no algorithm for this product");
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() {
    cublasLtMatmulPreferenceDestroy(preference_);
    cublasLtMatrixLayoutDestroy(result_);
    cublasLtMatrixLayoutDestroy(second_);
    cublasLtMatrixLayoutDestroy(first_);
    cublasLtMatmulDescDestroy(operation_);
  }

  void run(const Gpu& gpu, const void* first, const void* second, void* result,
           cudaStream_t stream) const {
    const float one = 1;
    const float zero = 0;
    check(cublasLtMatmul(gpu.cublas(), operation_, &one, first, first_, second, second_, &zero,
                         result, result_, result, result_, &chosen_.algo, gpu.workspace(),
                         kWorkspace, stream));
  }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(operation_, attribute, &value, sizeof value));
  }
  static void make_layout(cublasLtMatrixLayout_t* layout, cudaDataType_t type, int64_t rows,
                          int64_t columns, int64_t batch) {
    check(cublasLtMatrixLayoutCreate(layout, type, static_cast<uint64_t>(rows),
                                     static_cast<uint64_t>(columns), rows));
    const auto count = static_cast<int32_t>(batch);
    const int64_t stride = rows * columns;
    check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                           sizeof count));
    check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                           &stride, sizeof stride));
  }

  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t first_ = nullptr;
  cublasLtMatrixLayout_t second_ = nullptr;
  cublasLtMatrixLayout_t result_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  cublasLtMatmulHeuristicResult_t chosen_{};
};

}  // namespace

void add_product(Launches& kernel, const Product& product) {
  const Gpu& gpu = kernel.gpu();
  const auto* prepared = kernel.keep(std::make_shared<Prepared>(gpu, product));
  const auto [batch, m, n, k, layout, type, relu, times] = product;
  const void* a = kernel.buffer(batch * m * k, type);
  const void* b = kernel.buffer(batch * k * n, type);
  void* c = kernel.buffer(batch * m * n, type == DataType::kFp8 ? DataType::kBf16 : type);
  kernel.add([&gpu, prepared, a, b, c, times = product.times](cudaStream_t stream) {
    for (int64_t i = 0; i < times; ++i) prepared->run(gpu, b, a, c, stream);
  });
}

}  // namespace soapbox::calib::cuda
