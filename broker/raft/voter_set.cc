#include "raft/voter_set.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::raft {

std::string ReplicaKey::to_string() const {
    return directory.is_zero() ? fmt::format("{}", id) : fmt::format("{}:{}", id, directory);
}

std::string Endpoint::to_string() const {
    const bool literal_v6 = host.find(':') != std::string::npos;
    return literal_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

VoterSet::VoterSet(std::vector<Voter> voters) : voters_(std::move(voters)) {
    std::sort(voters_.begin(), voters_.end(),
              [](const Voter& a, const Voter& b) { return a.key.id < b.key.id; });
    const auto twice =
        std::adjacent_find(voters_.begin(), voters_.end(),
                           [](const Voter& a, const Voter& b) { return a.key.id == b.key.id; });
    MR_ASSERT(twice == voters_.end());
}

const Voter* VoterSet::find(BrokerId id) const {
    const auto found = std::find_if(voters_.begin(), voters_.end(),
                                    [&](const Voter& voter) { return voter.key.id == id; });
    return found == voters_.end() ? nullptr : &*found;
}

const Voter* VoterSet::find(const ReplicaKey& key) const {
    const Voter* voter = find(key.id);
    return voter != nullptr && voter->key.matches(key) ? voter : nullptr;
}

bool VoterSet::has_all_directories() const {
    return std::none_of(voters_.begin(), voters_.end(),
                        [](const Voter& voter) { return voter.key.directory.is_zero(); });
}

VoterSet VoterSet::with(Voter voter) const {
    MR_ASSERT(find(voter.key.id) == nullptr);
    auto voters = voters_;
    voters.push_back(std::move(voter));
    return VoterSet(std::move(voters));
}

VoterSet VoterSet::without(const ReplicaKey& key) const {
    MR_ASSERT(contains(key));
    auto voters = voters_;
    std::erase_if(voters, [&](const Voter& voter) { return voter.key.id == key.id; });
    return VoterSet(std::move(voters));
}

VoterSet VoterSet::with_updated(Voter voter) const {
    auto voters = voters_;
    const auto found = std::find_if(voters.begin(), voters.end(),
                                    [&](const Voter& old) { return old.key.id == voter.key.id; });
    MR_ASSERT(found != voters.end());
    *found = std::move(voter);
    return VoterSet(std::move(voters));
}

std::string VoterSet::to_string() const {
    std::string text = "{";
    for (const Voter& voter : voters_) {
        text += text.size() > 1 ? ", " : "";
        text += voter.key.to_string();
    }
    return text + "}";
}

namespace {

template <typename T>
const T* last_below(const std::vector<std::pair<Offset, T>>& entries, Offset end) {
    const T* found = nullptr;
    for (const auto& [offset, value] : entries) {
        if (offset < end) {
            found = &value;
        }
    }
    return found;
}

template <typename T>
void trim_entries(std::vector<std::pair<Offset, T>>& entries, Offset start) {
    while (entries.size() > 1 && entries[1].first < start) {
        entries.erase(entries.begin());
    }
}

}  // namespace

const VoterSet& VoterHistory::at(Offset end) const {
    const VoterSet* found = last_below(sets_, end);
    return found != nullptr ? *found : fallback_;
}

std::int16_t VoterHistory::kraft_version_at(Offset end) const {
    const std::int16_t* found = last_below(versions_, end);
    return found != nullptr ? *found : std::int16_t{0};
}

std::optional<Offset> VoterHistory::latest_offset() const {
    return sets_.empty() ? std::nullopt : std::optional(sets_.back().first);
}

void VoterHistory::add_voters(Offset at, VoterSet voters) {
    MR_ASSERT(sets_.empty() || sets_.back().first < at);
    sets_.emplace_back(at, std::move(voters));
}

void VoterHistory::add_kraft_version(Offset at, std::int16_t version) {
    MR_ASSERT(versions_.empty() || versions_.back().first < at);
    versions_.emplace_back(at, version);
}

void VoterHistory::truncate(Offset end) {
    std::erase_if(sets_, [&](const auto& entry) { return entry.first >= end; });
    std::erase_if(versions_, [&](const auto& entry) { return entry.first >= end; });
}

void VoterHistory::reset_to_snapshot(Offset end, std::int16_t kraft_version,
                                     std::optional<VoterSet> voters) {
    sets_.clear();
    versions_.clear();
    versions_.emplace_back(end - 1, kraft_version);
    if (voters) {
        sets_.emplace_back(end - 1, *std::move(voters));
    }
}

void VoterHistory::trim(Offset start) {
    trim_entries(sets_, start);
    trim_entries(versions_, start);
}

}  // namespace millrace::raft
