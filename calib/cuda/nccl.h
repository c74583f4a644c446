// The library of collectives, opened when there is one: not every toolkit brings it.
//
// Its public functions that are used, by their C types: a communicator is a pointer, enumerations
// are ints, and 0 is success. They have been the same since version 2.7.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace soapbox::calib::cuda {

struct Nccl {
  using Communicator = void*;
  static constexpr int kFloat32 = 7;  // of its element types
  static constexpr int kSum = 0;      // of its reductions

  int (*version)(int* version) = nullptr;  // 22809 is 2.28.9
  const char* (*error_text)(int code) = nullptr;
  // A communicator for each of `count` devices of this process, the ranks in their order.
  int (*init_all)(Communicator* communicators, int count, const int* devices) = nullptr;
  int (*destroy)(Communicator communicator) = nullptr;
  // Of one thread, the calls between these for several ranks are one operation.
  int (*group_start)() = nullptr;
  int (*group_end)() = nullptr;
  // `count`: elements of a rank's smaller buffer; each rank of a communicator calls.
  int (*all_reduce)(const void* send, void* receive, size_t count, int type, int reduction,
                    Communicator communicator, cudaStream_t stream) = nullptr;
  int (*reduce_scatter)(const void* send, void* receive, size_t count, int type, int reduction,
                        Communicator communicator, cudaStream_t stream) = nullptr;
  int (*all_gather)(const void* send, void* receive, size_t count, int type,
                    Communicator communicator, cudaStream_t stream) = nullptr;
  int (*broadcast)(const void* send, void* receive, size_t count, int type, int root,
                   Communicator communicator, cudaStream_t stream) = nullptr;
  int (*send)(const void* data, size_t count, int type, int peer, Communicator communicator,
              cudaStream_t stream) = nullptr;
  int (*receive)(void* data, size_t count, int type, int peer, Communicator communicator,
                 cudaStream_t stream) = nullptr;

  // Throws Failure where the library is not there or lacks a function.
  static Nccl open(const char* library = "libnccl.so.2");
  // Throws Failure with the library's words.
  void check(int code) const;
};

}  // namespace soapbox::calib::cuda
