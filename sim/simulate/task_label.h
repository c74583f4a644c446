// What a task of a lowered plan is: for traces, reports and checks.
#pragma once

#include <cstdint>
#include <string>

#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"

namespace soapbox {

enum class TaskKind : uint8_t {
  kForward,
  kForwardTransfer,  // activations, producer's device to consumer's
  kBackward,
  kBackwardTransfer,  // input gradients, consumer's device to producer's
  kGradientSum,       // adds the partial input gradients of several consumer pieces
  kSyncTransfer,      // weight gradients and new weights
  kBarrier,
  kUpdate,  // optimiser step
};
std::string to_string(TaskKind kind);

// Fields that do not apply are invalid or zero.
struct TaskLabel {
  TaskKind kind = TaskKind::kForward;
  OpId op;
  uint32_t piece = 0;
  EdgeId edge;
  WeightId weight;
  DeviceId from;  // where the task runs, or where the transfer starts
  DeviceId to;    // where the transfer ends
  Bytes bytes;
};

}  // namespace soapbox
