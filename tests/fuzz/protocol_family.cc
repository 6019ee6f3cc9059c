// Any bytes as any message of a family, in any version: decoding stays within its memory budget;
// what decodes encodes, decodes again, and is the same from then on.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "protocol/reader.h"
#include "protocol/writer.h"
#include "tests/fuzz/protocol_input.h"
#include "tests/support/allocation_counter.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

namespace millrace::fuzz {
namespace {

using protocol::MessageType;
using protocol::Reader;
using protocol::Writer;

void require(bool holds, const MessageType& type, std::int16_t version, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "%s v%d: %s\n", std::string(type.name).c_str(), version, what);
        std::abort();
    }
}

/// Re-encodes `input` into `output`; false where it is no such message.
bool recode(const MessageType& type, std::int16_t version, ByteView input, Buffer& output) {
    output.clear();
    output.reserve(input.size() + 64);
    Reader reader(input);
    Writer writer(output);
    const std::size_t before = test::allocations().bytes;
    type.recode(reader, writer, version);
    const std::size_t used = test::allocations().bytes - before;
    require(used <= 32 * input.size() + 64 * 1024, type, version, "allocated beyond the budget");
    if (!reader.ok()) {
        require(!reader.error().message().empty(), type, version, "an error without a reason");
        return false;
    }
    require(writer.ok(), type, version, "what was decoded can't be encoded");
    return true;
}

void try_one(const MessageType& type, std::int16_t version, ByteView body) {
    Buffer once;
    if (!recode(type, version, body, once)) {
        return;
    }
    Buffer twice;
    require(recode(type, version, once, twice), type, version, "our own bytes are refused");
    require(once == twice, type, version, "encoding is not stable");
    Reader reader(once);
    require(!type.debug_string(reader, version).empty(), type, version, "nothing to show");
    require(reader.remaining() == 0, type, version, "bytes trail what we encoded");
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace;
    static const auto types = fuzz::family_of(FUZZED_FAMILY);
    if (size < fuzz::prefix_size) {
        return 0;
    }
    const auto& type = types[(data[0] * 256U + data[1]) % types.size()];
    const int versions = type.max_version - type.min_version + 1;
    const auto version = static_cast<std::int16_t>(type.min_version + data[2] % versions);
    fuzz::try_one(
        type, version,
        {reinterpret_cast<const std::byte*>(data) + fuzz::prefix_size, size - fuzz::prefix_size});
    return 0;
}

// Mostly the body changes: a good body of one message is noise to another.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned seed) {
    constexpr std::size_t prefix = millrace::fuzz::prefix_size;
    if (size <= prefix || seed % 8 == 0) {
        return LLVMFuzzerMutate(data, size, max);
    }
    return prefix + LLVMFuzzerMutate(data + prefix, size - prefix, max - prefix);
}
