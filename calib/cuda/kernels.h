// Kernels of our own: what is bound by memory, and what separates measurements.
//
// Elements are float, or two bytes (bf16, fp16) that are computed with as float. Counts are of
// elements; a row is contiguous.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "sim/model/op.h"

namespace soapbox::calib::cuda {

inline constexpr const char* kMarkName = "soapbox_mark";    // of the kernels that separate, in
inline constexpr const char* kFlushName = "soapbox_flush";  // traces of the device
inline constexpr int kMostInputs = 8;

struct Pointers {
  const void* inputs[kMostInputs];
  int count;
};

void launch_mark(cudaStream_t stream);
// Writes `bytes` bytes: twice the second-level cache and its contents are others.
void launch_flush(void* data, size_t bytes, cudaStream_t stream);
void launch_empty(cudaStream_t stream);
// Keeps the stream busy with nothing, so that the host gets ahead.
void launch_wait(int64_t ns, cudaStream_t stream);
// Small random numbers, whatever the type; integers are below `limit`.
void launch_fill(void* data, int64_t count, DataType type, uint32_t seed, cudaStream_t stream);
void launch_fill_indices(int32_t* data, int64_t count, int32_t limit, uint32_t seed,
                         cudaStream_t stream);

void launch_relu(const void* x, void* y, int64_t count, DataType type, cudaStream_t stream);
void launch_relu_backward(const void* y, const void* dy, void* dx, int64_t count, DataType type,
                          cudaStream_t stream);
// out = sum of the inputs.
void launch_sum(const Pointers& inputs, void* out, int64_t count, DataType type,
                cudaStream_t stream);
// weight -= rate gradient.
void launch_update(float* weight, const float* gradient, int64_t count, cudaStream_t stream);

void launch_softmax(const void* x, void* y, int64_t rows, int64_t length, DataType type,
                    cudaStream_t stream);
void launch_softmax_backward(const void* y, const void* dy, void* dx, int64_t rows, int64_t length,
                             DataType type, cudaStream_t stream);

// `statistics`: mean and reciprocal deviation of each row.
void launch_layer_norm(const void* x, const float* scale, void* y, float* statistics, int64_t rows,
                       int64_t length, DataType type, cudaStream_t stream);
void launch_layer_norm_backward(const void* x, const void* dy, const float* scale,
                                const float* statistics, void* dx, int64_t rows, int64_t length,
                                DataType type, cudaStream_t stream);
void launch_layer_norm_weights(const void* x, const void* dy, const float* statistics,
                               float* dscale, int64_t rows, int64_t length, DataType type,
                               cudaStream_t stream);

void launch_gather(const void* table, const int32_t* indices, void* out, int64_t count,
                   int64_t channels, DataType type, cudaStream_t stream);
void launch_scatter_add(float* table, const int32_t* indices, const float* in, int64_t count,
                        int64_t channels, cudaStream_t stream);

// One step of an LSTM's cell after its product: gates (rows x 4 hidden), cell state in and out.
void launch_lstm(const void* gates, const void* cell, void* next_cell, void* out, int64_t rows,
                 int64_t hidden, DataType type, cudaStream_t stream);
void launch_lstm_backward(const void* gates, const void* cell, const void* dout, void* dgates,
                          void* dcell, int64_t rows, int64_t hidden, DataType type,
                          cudaStream_t stream);

}  // namespace soapbox::calib::cuda
