#include "sim/cost/kernel_costs.h"

#include <benchmark/benchmark.h>

#include <array>

namespace soapbox {
namespace {

Hardware a100() {
  Hardware hardware;
  hardware.name = "A100-SXM4-80GB";
  hardware.fp32_peak = tflops_per_s(19.5);
  hardware.fp16_peak = tflops_per_s(312);
  hardware.bf16_peak = tflops_per_s(312);
  hardware.memory_bandwidth = gb_per_s(2039);
  hardware.sm_count = 108;
  return hardware;
}

// As large as the grids of the shipped profiles.
KernelProfile profile_with_grids() {
  KernelProfile profile = datasheet_kernel_profile();
  profile.hardware = a100().name;
  for (GemmFit& fit : profile.gemm) {
    fit.factor.axes = {{{0, 1, 1}, {3, 2, 7}, {6, 2, 6}, {6, 2, 6}}};
    fit.factor.factors.assign(fit.factor.node_count(), 1.0);
  }
  return profile;
}

Kernel gemm(int64_t batch, int64_t m, int64_t n, int64_t k) {
  Kernel kernel;
  kernel.kind = KernelKind::kGemm;
  kernel.gemm = {batch, m, n, k};
  kernel.bytes = 2.0 * static_cast<double>(batch) * static_cast<double>(m * n + m * k + n * k);
  return kernel;
}

Kernel attention() {
  Kernel kernel = gemm(32, 4096, 4096, 128);
  kernel.kind = KernelKind::kAttention;
  kernel.causal = true;
  return kernel;
}

Kernel pass() {
  Kernel kernel;
  kernel.bytes = 1e8;
  return kernel;
}

// Eight kernels in turn, so that no branch is learnt by heart.
void time_of(benchmark::State& state, const std::array<Kernel, 8>& kernels) {
  const KernelProfile profile = profile_with_grids();
  const auto costs = KernelCosts::make(a100(), &profile);
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(costs->time(kernels[next]));
    next = (next + 1) % kernels.size();
  }
  state.SetItemsProcessed(state.iterations());
}

void BM_KernelCosts_Gemm(benchmark::State& state) {
  time_of(state, {gemm(1, 4096, 12288, 4096), gemm(1, 2048, 1536, 12288), gemm(1, 512, 4096, 11008),
                  gemm(1, 100, 6144, 4096), gemm(1, 8192, 57344, 8192), gemm(1, 16, 12288, 4096),
                  gemm(1, 1000, 1000, 1000), gemm(1, 4096, 4096, 4096)});
}
BENCHMARK(BM_KernelCosts_Gemm);

void BM_KernelCosts_BatchedGemm(benchmark::State& state) {
  time_of(state, {gemm(96, 2048, 2048, 128), gemm(32, 512, 512, 64), gemm(8, 100, 300, 200),
                  gemm(256, 64, 64, 64), gemm(4, 4096, 128, 4096), gemm(16, 1024, 1024, 80),
                  gemm(2, 33, 77, 1000), gemm(64, 128, 128, 128)});
}
BENCHMARK(BM_KernelCosts_BatchedGemm);

void BM_KernelCosts_Attention(benchmark::State& state) {
  std::array<Kernel, 8> kernels;
  kernels.fill(attention());
  time_of(state, kernels);
}
BENCHMARK(BM_KernelCosts_Attention);

void BM_KernelCosts_Pass(benchmark::State& state) {
  std::array<Kernel, 8> kernels;
  kernels.fill(pass());
  time_of(state, kernels);
}
BENCHMARK(BM_KernelCosts_Pass);

}  // namespace
}  // namespace soapbox
