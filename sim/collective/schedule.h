// What a collective algorithm sends: messages between ranks, and which of them wait for which.
//
// Data. The collective's data is a row of equal blocks. all_reduce, reduce_scatter, all_gather and
// broadcast work on one buffer; in all_to_all and send_recv every rank has a buffer of its own, and
// the row is all of these one after another. A message carries blocks that follow each other.
// The receiver adds them to its own (reduces) or stores them.
//
// Order. A message may be sent once everything it waits for has been delivered to its sender.
// Message ids are the structural order: whatever a message waits for has a smaller id.
// A message from a rank to itself without blocks is a join: it sends nothing, takes no time, and
// lets many messages wait for many others without an edge for each pair.
//
// Chunks. The data may be cut into equal chunks that run through the schedule independently but for
// the links: chunk c of message m waits for chunk c of what m waits for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/units.h"

namespace soapbox {

struct RankPair {
  uint32_t from = 0;
  uint32_t to = 0;
  friend constexpr auto operator<=>(const RankPair&, const RankPair&) = default;
};

struct Message {
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t path = 0;  // index into Schedule::pairs(); unused for a join
  uint32_t first_block = 0;
  uint32_t block_count = 0;
  bool reduces = false;
  bool is_join() const { return from == to; }
};

// How ranks may be renumbered without changing a schedule.
enum class RankSymmetry : uint8_t { kNone, kRotation, kExclusiveOr };

class Schedule {
 public:
  virtual ~Schedule() = default;

  uint32_t rank_count() const { return rank_count_; }
  uint32_t block_count() const { return block_count_; }
  // Ids are below it. Joins included.
  uint32_t message_count() const { return message_count_; }
  virtual uint32_t join_count() const { return 0; }
  // The distinct (from, to) of the messages.
  virtual std::vector<RankPair> pairs() const = 0;
  virtual Message message(uint32_t id) const = 0;
  // How many messages it waits for.
  virtual uint32_t wait_count(uint32_t id) const = 0;
  // The messages that wait for it. `lone` may back the result.
  virtual std::span<const uint32_t> dependents(uint32_t id, uint32_t& lone) const = 0;
  // No message waits for more than one.
  virtual bool waits_are_single() const = 0;

  // Where renumbering every rank r as r + period (modulo the ranks) turns the schedule into itself
  // for every period: the same schedule with ranks that differ by `period` identified, so that
  // ranks 0 .. period - 1 stand for all. Null where that is not so. Its blocks are anonymous.
  // REQUIRES: period divides rank_count().
  virtual std::unique_ptr<const Schedule> folded(uint32_t /*period*/) const { return nullptr; }
  // Which renumberings are worth trying: r + p modulo the ranks, or r xor p. fold.h checks them.
  virtual RankSymmetry symmetry() const { return RankSymmetry::kNone; }

 protected:
  Schedule(uint32_t ranks, uint32_t blocks, uint32_t messages)
      : rank_count_(ranks), block_count_(blocks), message_count_(messages) {}
  void set_message_count(uint32_t count) { message_count_ = count; }

 private:
  uint32_t rank_count_;
  uint32_t block_count_;
  uint32_t message_count_;
};

// Messages written down one by one: for algorithms of few messages.
class ListedSchedule final : public Schedule {
 public:
  ListedSchedule(uint32_t ranks, uint32_t blocks) : Schedule(ranks, blocks, 0) {}

  // Returns the id. REQUIRES: waits_for holds earlier ids of messages to `from`, each once.
  uint32_t send(RankPair pair, uint32_t first_block, uint32_t block_count, bool reduces,
                std::span<const uint32_t> waits_for);
  uint32_t join(uint32_t rank, std::span<const uint32_t> waits_for);
  void set_symmetry(RankSymmetry symmetry) { symmetry_ = symmetry; }
  // After the last message, before any look-up.
  void finish();

  uint32_t join_count() const override { return join_count_; }
  std::vector<RankPair> pairs() const override { return pairs_; }
  Message message(uint32_t id) const override { return messages_[id]; }
  uint32_t wait_count(uint32_t id) const override { return waits_[id]; }
  std::span<const uint32_t> dependents(uint32_t id, uint32_t& lone) const override;
  bool waits_are_single() const override { return waits_are_single_; }
  RankSymmetry symmetry() const override { return symmetry_; }

 private:
  struct Wait {
    uint32_t message;
    uint32_t dependent;
  };
  uint32_t add(const Message& message, std::span<const uint32_t> waits_for);

  std::vector<Message> messages_;
  std::vector<uint32_t> waits_;
  std::vector<Wait> wait_list_;  // until finish()
  std::vector<uint32_t> rows_;   // of dependents_
  std::vector<uint32_t> dependents_;
  std::vector<RankPair> pairs_;
  uint32_t join_count_ = 0;
  bool waits_are_single_ = true;
  RankSymmetry symmetry_ = RankSymmetry::kNone;
};

// Several collectives at once: the ranks of each follow those of the one before.
std::unique_ptr<const Schedule> concurrent(std::span<const Schedule* const> schedules);

// How bytes are cut: part `index` of `count` parts that differ by at most one byte.
int64_t part_begin(int64_t bytes, int64_t index, int64_t count);

// The bytes of every message of a schedule whose data is `total` bytes in `chunks` chunks.
class MessageBytes {
 public:
  // REQUIRES: total >= 0, chunks >= 1.
  MessageBytes(const Schedule& schedule, Bytes total, uint32_t chunks);
  Bytes of(const Message& message, uint32_t chunk) const {
    if (uniform_) return Bytes(int64_t{message.block_count} * block_bytes_);
    return uneven(message, chunk);
  }
  // All blocks of all chunks are of one size.
  bool uniform() const { return uniform_; }

 private:
  Bytes uneven(const Message& message, uint32_t chunk) const;
  int64_t total_;
  int64_t chunks_;
  int64_t blocks_;
  int64_t block_bytes_ = 0;
  bool uniform_ = false;
};

}  // namespace soapbox
