#include "protocol/reader.h"

#include <algorithm>
#include <bit>

namespace millrace::protocol {
namespace {

// Wire size of an array's element, and how one is read.
template <typename T>
constexpr std::size_t least_size = sizeof(T);
template <>
constexpr std::size_t least_size<std::string_view> = 1;

}  // namespace

void Reader::fail(const char* why, Code code) {
    if (fault_ == nullptr) {
        fault_ = why;
        fault_code_ = code;
        fault_at_ = position();
    }
    at_ = end_;
}

Error Reader::error() const {
    return Error::make(fault_code_, "byte {}: {}", fault_at_,
                       fault_ == nullptr ? "no fault" : fault_);
}

bool Reader::charge(std::size_t bytes) {
    if (bytes > budget_) {
        fail("would need more memory than a request of this size may take", Code::exhausted);
        return false;
    }
    budget_ -= bytes;
    return true;
}

double Reader::float64() {
    return std::bit_cast<double>(int64());
}

Uuid Reader::uuid() {
    const auto high = static_cast<std::uint64_t>(int64());
    return {high, static_cast<std::uint64_t>(int64())};
}

std::uint32_t Reader::unsigned_varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (at_ == end_) {
            fail("cut short");
            return 0;
        }
        const auto byte = static_cast<std::uint32_t>(*at_++);
        if (shift == 28 && byte > 0x0f) {
            break;
        }
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    fail("varint of more than 32 bits");
    return 0;
}

ByteView Reader::raw(std::size_t size) {
    if (remaining() < size) {
        fail("cut short");
        return {};
    }
    const ByteView view{at_, size};
    at_ += size;
    return view;
}

std::int64_t Reader::string_size(bool compact) {
    const std::int64_t size = compact ? std::int64_t{unsigned_varint()} - 1 : int16();
    if (size > static_cast<std::int64_t>(max_string)) {
        fail("string longer than 32767 bytes");
        return -1;
    }
    return std::max(size, std::int64_t{-1});
}

std::int64_t Reader::bytes_size(bool compact) {
    const std::int64_t size = compact ? std::int64_t{unsigned_varint()} - 1 : int32();
    return std::max(size, std::int64_t{-1});
}

std::string_view Reader::string(bool compact) {
    const std::int64_t size = string_size(compact);
    if (size < 0) {
        fail("null where a string is required");
        return {};
    }
    return as_text(raw(static_cast<std::size_t>(size)));
}

std::optional<std::string_view> Reader::nullable_string(bool compact) {
    const std::int64_t size = string_size(compact);
    if (size < 0) {
        return std::nullopt;
    }
    return as_text(raw(static_cast<std::size_t>(size)));
}

ByteView Reader::bytes(bool compact) {
    const std::int64_t size = bytes_size(compact);
    if (size < 0) {
        fail("null where bytes are required");
        return {};
    }
    return raw(static_cast<std::size_t>(size));
}

std::optional<ByteView> Reader::nullable_bytes(bool compact) {
    const std::int64_t size = bytes_size(compact);
    if (size < 0) {
        return std::nullopt;
    }
    return raw(static_cast<std::size_t>(size));
}

std::optional<Records> Reader::nullable_records(bool compact) {
    const auto view = nullable_bytes(compact);
    return view ? std::optional(Records{.bytes = *view}) : std::nullopt;
}

std::int32_t Reader::array_size(bool compact, std::size_t least, std::size_t element_size) {
    const std::int64_t count = compact ? std::int64_t{unsigned_varint()} - 1 : int32();
    if (count < 0) {
        return -1;
    }
    const auto elements = static_cast<std::size_t>(count);
    if (elements > max_elements) {
        fail("array of more than a million elements", Code::exhausted);
        return 0;
    }
    if (elements * least > remaining()) {
        fail("array longer than what is left of the input");
        return 0;
    }
    return charge(elements * element_size) ? static_cast<std::int32_t>(count) : 0;
}

template <typename T>
void Reader::array(std::vector<T>& to, bool compact) {
    std::optional<std::vector<T>> read(std::in_place);
    nullable_array(read, compact);
    if (!read) {
        fail("null where an array is required");
        return;
    }
    to = std::move(*read);
}

template <typename T>
void Reader::nullable_array(std::optional<std::vector<T>>& to, bool compact) {
    const std::int32_t count = array_size(compact, least_size<T>, sizeof(T));
    if (count < 0) {
        to.reset();
        return;
    }
    auto& elements = to.emplace(static_cast<std::size_t>(count));
    for (T& element : elements) {
        if constexpr (std::is_same_v<T, std::string_view>) {
            element = string(compact);
        } else if constexpr (std::is_same_v<T, Uuid>) {
            element = uuid();
        } else {
            element = fixed<T>();
        }
    }
}

#define MR_ARRAY_OF(T)                                          \
    template void Reader::array(std::vector<T>&, bool compact); \
    template void Reader::nullable_array(std::optional<std::vector<T>>&, bool compact);
MR_ARRAY_OF(std::int8_t)
MR_ARRAY_OF(std::int16_t)
MR_ARRAY_OF(std::int32_t)
MR_ARRAY_OF(std::int64_t)
MR_ARRAY_OF(std::string_view)
MR_ARRAY_OF(Uuid)
#undef MR_ARRAY_OF

void Reader::unknown_tags(std::vector<UnknownTag>& to) {
    for (TagReader tags(*this); tags.next();) {
        tags.keep(to);
    }
}

TagReader::TagReader(Reader& in) : in_(in), section_end_(in.end_), left_(in.unsigned_varint()) {
    if (left_ > Reader::max_tagged_fields) {
        in_.fail("more than 10000 tagged fields", Code::exhausted);
    } else if (std::size_t{left_} * 2 > in_.remaining()) {
        in_.fail("more tagged fields than what is left of the input");
    }
}

void TagReader::close_field() {
    if (in_.ok() && in_.at_ != in_.end_) {
        in_.fail("tagged field longer than its value");
    }
    in_.end_ = section_end_;
    open_ = false;
    if (!in_.ok()) {
        in_.at_ = in_.end_;
    }
}

bool TagReader::next() {
    if (open_) {
        close_field();
    }
    if (left_ == 0 || !in_.ok()) {
        sort_kept();
        return false;
    }
    --left_;
    tag_ = in_.unsigned_varint();
    const std::size_t size = in_.unsigned_varint();
    if (size > in_.remaining()) {
        in_.fail("tagged field longer than what is left of the input");
    }
    if (!in_.ok()) {
        return false;
    }
    in_.end_ = in_.at_ + size;
    open_ = true;
    return true;
}

void TagReader::keep(std::vector<UnknownTag>& to) {
    if (to.empty()) {
        const std::size_t capacity = std::size_t{left_} + 1;
        if (!in_.charge(capacity * sizeof(UnknownTag))) {
            return;
        }
        to.reserve(capacity);
    }
    if (!to.empty() && to.back().tag >= tag_) {
        unsorted_ = &to;
    }
    to.push_back({tag_, in_.raw(in_.remaining())});
}

// The order on the wire is ascending; a sender that strays from it is understood, as Kafka does,
// but what we write back is in order.
void TagReader::sort_kept() {
    if (unsorted_ == nullptr) {
        return;
    }
    std::sort(unsorted_->begin(), unsorted_->end(),
              [](const UnknownTag& a, const UnknownTag& b) { return a.tag < b.tag; });
    const auto same = [](const UnknownTag& a, const UnknownTag& b) { return a.tag == b.tag; };
    if (std::adjacent_find(unsorted_->begin(), unsorted_->end(), same) != unsorted_->end()) {
        in_.fail("the same tag twice");
    }
    unsorted_ = nullptr;
}

}  // namespace millrace::protocol
