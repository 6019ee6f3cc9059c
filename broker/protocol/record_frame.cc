#include "protocol/record_frame.h"

namespace millrace::protocol {
namespace {

// The one frame version that exists.
constexpr std::uint32_t frame_version = 1;

}  // namespace

RecordFrame read_metadata_frame(Reader& in) {
    const std::uint32_t version = in.unsigned_varint();
    if (in.ok() && version != frame_version) {
        in.fail("unknown frame version of a metadata record", Code::unsupported);
    }
    const std::uint32_t api_key = in.unsigned_varint();
    const std::uint32_t message_version = in.unsigned_varint();
    if (api_key > 0x7fff || message_version > 0x7fff) {
        in.fail("metadata record of an impossible type or version");
    }
    if (!in.ok()) {
        return {};
    }
    return {static_cast<std::int16_t>(api_key), static_cast<std::int16_t>(message_version)};
}

void write_metadata_frame(Writer& out, RecordFrame frame) {
    out.unsigned_varint(frame_version);
    out.unsigned_varint(static_cast<std::uint64_t>(frame.api_key));
    out.unsigned_varint(static_cast<std::uint64_t>(frame.version));
}

std::string_view metadata_record_name(std::int16_t api_key) {
    switch (api_key) {
#define MR_METADATA_RECORD(name, key) \
    case key:                         \
        return #name;
#include "protocol/messages/metadata_records.def"
#undef MR_METADATA_RECORD
        default:
            return {};
    }
}

}  // namespace millrace::protocol
