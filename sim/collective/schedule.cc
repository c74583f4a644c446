#include "sim/collective/schedule.h"

#include <algorithm>

#include "sim/base/check.h"

namespace soapbox {

uint32_t ListedSchedule::add(const Message& message, std::span<const uint32_t> waits_for) {
  const auto id = static_cast<uint32_t>(messages_.size());
  SOAPBOX_CHECK(message.from < rank_count() && message.to < rank_count(), "no such rank");
  for (const uint32_t earlier : waits_for) {
    SOAPBOX_CHECK(earlier < id && messages_[earlier].to == message.from,
                  "a message waits for what is not delivered to its sender");
    wait_list_.push_back({earlier, id});
  }
  if (waits_for.size() > 1) waits_are_single_ = false;
  waits_.push_back(static_cast<uint32_t>(waits_for.size()));
  messages_.push_back(message);
  return id;
}

uint32_t ListedSchedule::send(RankPair pair, uint32_t first_block, uint32_t block_count,
                              bool reduces, std::span<const uint32_t> waits_for) {
  SOAPBOX_CHECK(pair.from != pair.to, "a message to its sender");
  return add({pair.from, pair.to, 0, first_block, block_count, reduces}, waits_for);
}

uint32_t ListedSchedule::join(uint32_t rank, std::span<const uint32_t> waits_for) {
  ++join_count_;
  return add({rank, rank, 0, 0, 0, false}, waits_for);
}

void ListedSchedule::finish() {
  set_message_count(static_cast<uint32_t>(messages_.size()));
  for (const Message& message : messages_) {
    if (!message.is_join()) pairs_.push_back({message.from, message.to});
  }
  std::sort(pairs_.begin(), pairs_.end());
  pairs_.erase(std::unique(pairs_.begin(), pairs_.end()), pairs_.end());
  for (Message& message : messages_) {
    if (message.is_join()) continue;
    const RankPair pair{message.from, message.to};
    const auto place = std::lower_bound(pairs_.begin(), pairs_.end(), pair);
    message.path = static_cast<uint32_t>(place - pairs_.begin());
  }
  rows_.assign(messages_.size() + 1, 0);
  for (const Wait& wait : wait_list_) ++rows_[wait.message + 1];
  for (size_t i = 1; i < rows_.size(); ++i) rows_[i] += rows_[i - 1];
  dependents_.resize(wait_list_.size());
  std::vector<uint32_t> next = rows_;
  for (const Wait& wait : wait_list_) dependents_[next[wait.message]++] = wait.dependent;
  wait_list_ = {};
}

std::span<const uint32_t> ListedSchedule::dependents(uint32_t id, uint32_t& /*lone*/) const {
  return {dependents_.data() + rows_[id], rows_[id + 1] - rows_[id]};
}

namespace {

// What each message waits for.
std::vector<std::vector<uint32_t>> waits_of(const Schedule& schedule) {
  std::vector<std::vector<uint32_t>> waits(schedule.message_count());
  for (uint32_t id = 0; id < schedule.message_count(); ++id) {
    uint32_t lone = 0;
    for (const uint32_t dependent : schedule.dependents(id, lone)) waits[dependent].push_back(id);
  }
  return waits;
}

}  // namespace

std::unique_ptr<const Schedule> concurrent(std::span<const Schedule* const> schedules) {
  uint32_t ranks = 0;
  uint32_t blocks = 0;
  uint32_t longest = 0;
  std::vector<std::vector<std::vector<uint32_t>>> waits;
  for (const Schedule* schedule : schedules) {
    ranks += schedule->rank_count();
    blocks += schedule->block_count();
    longest = std::max(longest, schedule->message_count());
    waits.push_back(waits_of(*schedule));
  }
  auto all = std::make_unique<ListedSchedule>(ranks, blocks);
  std::vector<std::vector<uint32_t>> new_ids(schedules.size());
  for (uint32_t id = 0; id < longest; ++id) {
    uint32_t first_rank = 0;
    uint32_t first_block = 0;
    for (size_t s = 0; s < schedules.size(); ++s) {
      const Schedule& schedule = *schedules[s];
      if (id < schedule.message_count()) {
        const Message m = schedule.message(id);
        std::vector<uint32_t> earlier;
        for (const uint32_t wait : waits[s][id]) earlier.push_back(new_ids[s][wait]);
        const RankPair pair{m.from + first_rank, m.to + first_rank};
        new_ids[s].push_back(m.is_join() ? all->join(pair.from, earlier)
                                         : all->send(pair, m.first_block + first_block,
                                                     m.block_count, m.reduces, earlier));
      }
      first_rank += schedule.rank_count();
      first_block += schedule.block_count();
    }
  }
  all->finish();
  return all;
}

int64_t part_begin(int64_t bytes, int64_t index, int64_t count) {
  __extension__ using Wide = __int128;
  return static_cast<int64_t>(static_cast<Wide>(bytes) * index / count);
}

MessageBytes::MessageBytes(const Schedule& schedule, Bytes total, uint32_t chunks)
    : total_(total.count()), chunks_(chunks), blocks_(schedule.block_count()) {
  SOAPBOX_CHECK(total_ >= 0 && chunks_ >= 1 && blocks_ >= 1, "no data, chunks or blocks");
  uniform_ = total_ % (chunks_ * blocks_) == 0;
  if (uniform_) block_bytes_ = total_ / (chunks_ * blocks_);
}

Bytes MessageBytes::uneven(const Message& message, uint32_t chunk) const {
  const int64_t begin = part_begin(total_, chunk, chunks_);
  const int64_t bytes = part_begin(total_, int64_t{chunk} + 1, chunks_) - begin;
  const int64_t last = int64_t{message.first_block} + message.block_count;
  return Bytes(part_begin(bytes, last, blocks_) - part_begin(bytes, message.first_block, blocks_));
}

}  // namespace soapbox
