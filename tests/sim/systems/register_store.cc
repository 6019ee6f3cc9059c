#include "tests/sim/systems/register_store.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"

namespace millrace::simtest {

namespace {

constexpr std::size_t header = 8;  // Length and checksum of what follows.
constexpr std::uint64_t longest_record = 1 << 20;
constexpr std::uint64_t largest_file = 1 << 24;
constexpr std::uint64_t compact_beyond = 256 * 1024;

std::uint32_t checksum(std::string_view text) {
    std::uint32_t sum = 0x811c9dc5;
    for (const char c : text) {
        sum = (sum ^ static_cast<unsigned char>(c)) * 0x01000193;
    }
    return sum;
}

void append_record(std::string& to, const std::string& key, const Versioned& versioned) {
    const std::string body = to_text(Request{0, true, key, versioned});
    std::byte head[header];
    store_big_endian(head, static_cast<std::uint32_t>(body.size()));
    store_big_endian(head + 4, checksum(body));
    to += as_text(head);
    to += body;
}

/// Calls `visit` for each whole record; stops at the first that is not.
template <typename Visit>
void each_record(std::string_view bytes, bool trusting, Visit visit) {
    while (bytes.size() >= header) {
        const auto size = load_big_endian<std::uint32_t>(as_bytes(bytes).data());
        const auto sum = load_big_endian<std::uint32_t>(as_bytes(bytes).data() + 4);
        if (size > longest_record || bytes.size() < header + size) {
            return;
        }
        const std::string_view body = bytes.substr(header, size);
        auto record = from_text<Request>(body);
        if (!record || (checksum(body) != sum && !trusting)) {
            return;
        }
        visit(std::move(record->key), std::move(record->versioned));
        bytes.remove_prefix(header + size);
    }
}

}  // namespace

RegisterStore::RegisterStore(runtime::Node& node, runtime::Executor& loop, std::string directory,
                             Bug bug)
    : node_(node), loop_(loop), directory_(std::move(directory)), bug_(bug) {}

RegisterStore::~RegisterStore() {
    *alive_ = false;
}

Result<void> RegisterStore::open() {
    MR_TRY_VOID(node_.disk().create_directories(directory_));
    MR_TRY_VOID(node_.disk().sync_directory(directory_.substr(0, directory_.rfind('/') + 1)));
    MR_TRY_VOID(read_back());
    if (bug_ != Bug::trusts_cache_at_restart) {
        MR_TRY_VOID(write_snapshot());
        return empty_log();
    }
    MR_TRY(log_, node_.disk().open(log_path(), runtime::OpenMode::create));
    MR_TRY(log_end_, log_->size());
    return node_.disk().sync_directory(directory_);
}

Result<void> RegisterStore::read_back() {
    for (const std::string& path : {snapshot_path(), log_path()}) {
        MR_TRY(const bool there, node_.disk().exists(path));
        if (there) {
            MR_TRY(const auto bytes, node_.disk().read_whole(path, largest_file));
            each_record(bytes, bug_ == Bug::trusts_torn_tail,
                        [this](std::string key, Versioned v) { absorb(key, std::move(v)); });
        }
    }
    return {};
}

void RegisterStore::absorb(const std::string& key, Versioned versioned) {
    Versioned& mine = values_[key];
    if (mine.stamp < versioned.stamp) {
        mine = std::move(versioned);
    }
}

Result<void> RegisterStore::write_snapshot() {
    std::string bytes;
    for (const auto& [key, versioned] : values_) {
        append_record(bytes, key, versioned);
    }
    if (bug_ != Bug::forgets_directory_sync) {
        return node_.disk().replace_whole(snapshot_path(), bytes);
    }
    const std::string beside = snapshot_path() + ".tmp";
    MR_TRY(const auto file, node_.disk().open(beside, runtime::OpenMode::create_empty));
    MR_TRY_VOID(file->write_at(0, as_bytes(bytes)));
    MR_TRY_VOID(file->sync());
    return node_.disk().rename(beside, snapshot_path());
}

Result<void> RegisterStore::empty_log() {
    MR_TRY(log_, node_.disk().open(log_path(), runtime::OpenMode::create_empty));
    log_end_ = 0;
    MR_TRY_VOID(log_->sync());
    if (bug_ == Bug::forgets_directory_sync) {
        return {};
    }
    return node_.disk().sync_directory(directory_);
}

void RegisterStore::put(const std::string& key, Versioned versioned, UniqueFunction<void()> done) {
    if (failed_) {
        return;
    }
    const Versioned& mine = values_[key];
    if (mine.stamp < versioned.stamp) {
        append(key, versioned);
        absorb(key, std::move(versioned));
    }
    if (failed_) {
        return;
    }
    if (bug_ == Bug::acks_before_sync) {
        done();
        done = [] {};
    }
    // Also what is old or the same: its own record may still be on its way to the device.
    waiting_.push_back(std::move(done));
    if (!syncing_) {
        start_sync();
    }
}

void RegisterStore::append(const std::string& key, const Versioned& versioned) {
    std::string bytes;
    append_record(bytes, key, versioned);
    if (!log_->write_at(log_end_, as_bytes(bytes))) {
        failed_ = true;
        return;
    }
    log_end_ += bytes.size();
}

void RegisterStore::start_sync() {
    syncing_ = true;
    in_sync_ = std::exchange(waiting_, {});
    auto outcome = std::make_shared<bool>(false);
    const auto job = [log = log_, outcome, bug = bug_] {
        *outcome = log->sync().has_value();
        if (!*outcome && bug == Bug::retries_failed_sync) {
            *outcome = log->sync().has_value();
        }
    };
    node_.disk_pool().run(1, loop_, job, [this, outcome, alive = alive_] {
        if (*alive) {
            synced(*outcome);
        }
    });
}

void RegisterStore::synced(bool succeeded) {
    syncing_ = false;
    if (!succeeded) {
        failed_ = true;  // Which bytes are there is unknown: ask the disk only after a restart.
        return;
    }
    for (UniqueFunction<void()>& done : std::exchange(in_sync_, {})) {
        done();
    }
    const bool is_large =
        log_end_ > compact_beyond || MR_BUGGIFY(node_.buggify(), "register.compacts_early");
    if (waiting_.empty() && is_large) {
        compact();
    } else if (!waiting_.empty()) {
        start_sync();
    }
}

void RegisterStore::compact() {
    const bool log_first = bug_ == Bug::empties_log_first;
    const Result<void> first = log_first ? empty_log() : write_snapshot();
    failed_ = !first || !(log_first ? write_snapshot() : empty_log());
}

}  // namespace millrace::simtest
