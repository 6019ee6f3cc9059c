#include "operator/local/internal/journal.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "operator/local/internal/pki.h"

namespace millrace::local {

namespace {

constexpr std::size_t head_size = 8;  ///< Length and CRC-32C of the payload, little endian.
constexpr std::size_t compact_above = 8 << 20;

std::uint32_t checksum(std::string_view bytes) {
    return crc32c(as_bytes(bytes));
}

void put_number(std::string& out, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) {
        out += static_cast<char>(value >> (8 * i));
    }
}

std::uint32_t get_number(std::string_view at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        value |= std::uint32_t{static_cast<unsigned char>(at[i])} << (8 * i);
    }
    return value;
}

std::string record(std::uint64_t version, const ObjectKey& key, const Json& object) {
    const std::string payload =
        Json::object({{"v", static_cast<std::int64_t>(version)},
                      {"k", Json::array({key.storage, key.space, key.name})},
                      {"o", object}})
            .dump();
    std::string out;
    put_number(out, static_cast<std::uint32_t>(payload.size()));
    put_number(out, checksum(payload));
    return out + payload;
}

/// How many bytes of `text` are whole records; each is given to the store.
Result<std::size_t> replay(const std::string& name, std::string_view text, Store& store) {
    std::size_t at = 0;
    while (text.size() - at >= head_size) {
        const std::size_t size = get_number(text.substr(at));
        if (size > text.size() - at - head_size) {
            break;
        }
        const std::string_view payload = text.substr(at + head_size, size);
        const auto parsed = checksum(payload) == get_number(text.substr(at + 4))
                                ? Json::parse(payload)
                                : Result<Json>(Error(Code::corrupt, "checksum"));
        if (!parsed) {
            if (at + head_size + size == text.size()) {
                break;  // The last write was torn.
            }
            return Error::make(Code::corrupt, "{}: a damaged record at byte {}", name, at);
        }
        const Json& key = (*parsed)["k"];
        const Json& object = (*parsed)["o"];
        const auto version = static_cast<std::uint64_t>((*parsed)["v"].integer());
        if (version > store.version() || version == 0) {
            store.restore(version, {key[0].text(), key[1].text(), key[2].text()},
                          object.is_null() ? nullptr : std::make_shared<const Json>(object));
        }
        at += head_size + size;
    }
    return at;
}

Result<void> write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return Error::make(Code::io, "journal: {}", std::strerror(errno));
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(const std::filesystem::path& dir, Store& store) {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    if (failed) {
        return Error::make(Code::io, "{}: {}", dir.string(), failed.message());
    }
    std::size_t snapshot_size = 0;
    if (std::filesystem::exists(dir / "snapshot")) {
        MR_TRY(const std::string snapshot, read_file(dir / "snapshot"));
        MR_TRY(const std::size_t whole, replay("snapshot", snapshot, store));
        if (whole != snapshot.size()) {
            return Error::make(Code::corrupt, "{}: it ends early", (dir / "snapshot").string());
        }
        snapshot_size = whole;
    }
    const std::filesystem::path path = dir / "journal";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    if (file < 0) {
        return Error::make(Code::io, "{}: {}", path.string(), std::strerror(errno));
    }
    std::unique_ptr<Journal> journal(new Journal(dir, file));
    MR_TRY(const std::string text, read_file(path));
    MR_TRY(journal->size_, replay("journal", text, store));
    journal->snapshot_size_ = snapshot_size;
    if (::ftruncate(file, static_cast<off_t>(journal->size_)) != 0) {
        return Error::make(Code::io, "{}: {}", path.string(), std::strerror(errno));
    }
    return journal;
}

Journal::~Journal() {
    (void)sync();  // stop() has synced and reported; this is for a start that failed half-way.
    ::close(file_);
}

Result<void> Journal::append(const Change& change) {
    const bool deleted = change.type == Change::Type::deleted;
    const std::string bytes = record(change.version, change.key, deleted ? Json() : *change.object);
    MR_TRY_VOID(write_all(file_, bytes));
    size_ += bytes.size();
    return {};
}

Result<void> Journal::sync() const {
    if (::fdatasync(file_) != 0) {
        return Error::make(Code::io, "journal: {}", std::strerror(errno));
    }
    return {};
}

Result<void> Journal::compact_if_large(const Store& store) {
    if (size_ < compact_above || size_ < 2 * snapshot_size_) {
        return {};
    }
    // Version 0 says "as of the snapshot"; the last record carries the version itself.
    std::string snapshot;
    for (const auto& [key, object] : store.all()) {
        snapshot += record(0, key, *object);
    }
    snapshot += record(store.version(), {"", "", ""}, Json());
    MR_TRY_VOID(write_private_file(dir_ / "snapshot", snapshot));
    // A crash before this line leaves records in the journal that the snapshot's version skips.
    if (::ftruncate(file_, 0) != 0) {
        return Error::make(Code::io, "journal: {}", std::strerror(errno));
    }
    size_ = 0;
    snapshot_size_ = snapshot.size();
    return {};
}

}  // namespace millrace::local
