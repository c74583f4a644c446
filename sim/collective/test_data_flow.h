// An independent judge of schedules: whose data ends where.
//
// It delivers messages in a random order that keeps only what messages wait for. A message carries
// what its sender holds at the moment at which it may first be sent. Every block of every rank
// counts how often each rank's contribution is in it, so lost and doubled ones both show.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/collective/algorithms.h"

namespace soapbox {

class DataFlow {
 public:
  DataFlow(const Schedule& schedule, CollectiveOp op)
      : schedule_(schedule),
        op_(op),
        n_(schedule.rank_count()),
        blocks_(schedule.block_count()),
        held_(size_t{n_} * blocks_, std::vector<uint32_t>(n_)) {
    for (uint32_t rank = 0; rank < n_; ++rank) {
      for (uint32_t block = 0; block < blocks_; ++block) {
        if (contributes(rank, block)) held(rank, block)[rank] = 1;
      }
    }
  }

  // Empty where every rank ends with what the collective promises, else the first that does not.
  std::string run(uint32_t seed) {
    Rng rng(seed);
    std::vector<uint32_t> unmet(schedule_.message_count());
    std::vector<InFlight> in_flight;
    uint32_t delivered = 0;
    for (uint32_t id = 0; id < unmet.size(); ++id) {
      unmet[id] = schedule_.wait_count(id);
      if (unmet[id] == 0) in_flight.push_back(depart(id));
    }
    while (!in_flight.empty()) {
      const uint32_t pick = rng.below(static_cast<uint32_t>(in_flight.size()));
      std::swap(in_flight[pick], in_flight.back());
      const InFlight arrived = std::move(in_flight.back());
      in_flight.pop_back();
      arrive(arrived);
      ++delivered;
      uint32_t lone = 0;
      for (const uint32_t next : schedule_.dependents(arrived.id, lone)) {
        if (--unmet[next] == 0) in_flight.push_back(depart(next));
      }
    }
    if (delivered != unmet.size()) return "some messages are never sent";
    return verdict();
  }

 private:
  struct InFlight {
    uint32_t id;
    std::vector<std::vector<uint32_t>> content;  // per block carried
  };

  std::vector<uint32_t>& held(uint32_t rank, uint32_t block) {
    return held_[size_t{rank} * blocks_ + block];
  }
  // Whose contribution belongs to a block: for all but the reductions it is one rank's.
  bool contributes(uint32_t rank, uint32_t block) const {
    switch (op_) {
      case CollectiveOp::kAllReduce:
      case CollectiveOp::kReduceScatter:
        return true;
      case CollectiveOp::kBroadcast:
        return rank == 0;
      case CollectiveOp::kAllGather:
      case CollectiveOp::kSendRecv:
        return rank == block;
      case CollectiveOp::kAllToAll:
        return rank == block / n_;
    }
    return false;
  }
  bool must_end_with(uint32_t rank, uint32_t block) const {
    switch (op_) {
      case CollectiveOp::kReduceScatter:
        return rank == block;
      case CollectiveOp::kSendRecv:
        return rank == (block + 1) % n_;
      case CollectiveOp::kAllToAll:
        return rank == block % n_;
      default:
        return true;
    }
  }
  InFlight depart(uint32_t id) {
    const Message message = schedule_.message(id);
    InFlight flight{id, {}};
    for (uint32_t i = 0; i < message.block_count; ++i) {
      flight.content.push_back(held(message.from, message.first_block + i));
    }
    return flight;
  }
  void arrive(const InFlight& flight) {
    const Message message = schedule_.message(flight.id);
    for (uint32_t i = 0; i < message.block_count; ++i) {
      std::vector<uint32_t>& target = held(message.to, message.first_block + i);
      for (uint32_t rank = 0; rank < n_; ++rank) {
        target[rank] = flight.content[i][rank] + (message.reduces ? target[rank] : 0);
      }
    }
  }
  std::string verdict() {
    for (uint32_t rank = 0; rank < n_; ++rank) {
      for (uint32_t block = 0; block < blocks_; ++block) {
        if (!must_end_with(rank, block)) continue;
        for (uint32_t from = 0; from < n_; ++from) {
          const uint32_t expected = contributes(from, block) ? 1 : 0;
          const uint32_t found = held(rank, block)[from];
          if (found == expected) continue;
          std::ostringstream text;
          text << "block " << block << " of rank " << rank << " has rank " << from << "'s data "
               << found << " times, not " << expected;
          return text.str();
        }
      }
    }
    return "";
  }

  const Schedule& schedule_;
  CollectiveOp op_;
  uint32_t n_;
  uint32_t blocks_;
  std::vector<std::vector<uint32_t>> held_;
};

}  // namespace soapbox
