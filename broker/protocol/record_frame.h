// protocol/record_frame.h
//
// How messages lie in records: with their type and version in front.
//
//   metadata log          value: varint 1, varint api key, varint version, body
//   coordinator topics    key:   int16 api key, body (version 0)      value: int16 version, body
//   inside other fields   int16 version, body (consumer protocol, principals)
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "protocol/reader.h"
#include "protocol/request_body.h"
#include "protocol/writer.h"

namespace millrace::protocol {

struct RecordFrame {
    std::int16_t api_key = -1;
    std::int16_t version = -1;
    friend bool operator==(const RecordFrame&, const RecordFrame&) = default;
};

/// The front of a record of the metadata log; a fault in the reader if it isn't one.
RecordFrame read_metadata_frame(Reader& in);
void write_metadata_frame(Writer& out, RecordFrame frame);

template <typename Message>
void write_metadata_record(Writer& out, const Message& message, std::int16_t version) {
    write_metadata_frame(out, {Message::api_key, version});
    message.encode(out, version);
}

/// The type of a coordinator record: which key struct follows, and which value it belongs to.
inline std::int16_t read_coordinator_type(Reader& in) {
    return in.int16();
}

template <typename Key>
void write_coordinator_key(Writer& out, const Key& key) {
    out.int16(Key::api_key);
    key.encode(out, Key::max_version);
}

template <typename Message>
void write_versioned(Writer& out, const Message& message, std::int16_t version) {
    out.int16(version);
    message.encode(out, version);
}

template <typename Message>
void read_versioned(Reader& in, Message& message) {
    message.decode(in, in.int16());
}

/// What a coordinator's key is made of after its type. Keys have one version.
template <typename Key>
void read_coordinator_key(Reader& in, Key& key) {
    key.decode(in, Key::max_version);
}

/// "TopicRecord" for 2; empty for a type we don't know.
std::string_view metadata_record_name(std::int16_t api_key);

/// The whole of a body as one message, or why it isn't: what trails is an error too.
template <typename Message>
Result<Message> decode_whole(const RequestBody& body, std::int16_t version) {
    Reader in(body.bytes(), body.budget());
    Message message;
    message.decode(in, version);
    body.tell_made(in.charged());
    if (!in.ok()) {
        return in.error();
    }
    if (in.remaining() > 0) {
        return Error::make(Code::corrupt, "{} bytes after the message", in.remaining());
    }
    return message;
}

template <typename Message>
Result<Message> decode_whole(ByteView bytes, std::int16_t version) {
    return decode_whole<Message>(RequestBody(bytes), version);
}

/// One message and nothing else, or the field that this version can't carry.
template <typename Message>
Result<Buffer> encode_whole(const Message& message, std::int16_t version) {
    Buffer bytes;
    Writer out(bytes);
    message.encode(out, version);
    if (!out.ok()) {
        return out.error();
    }
    return bytes;
}

/// As decode_whole(), of bytes that begin with their version.
template <typename Message>
Result<Message> decode_versioned(ByteView bytes) {
    Reader in(bytes);
    const std::int16_t version = in.int16();
    if (!in.ok()) {
        return in.error();
    }
    return decode_whole<Message>(bytes.subspan(in.position()), version);
}

}  // namespace millrace::protocol
