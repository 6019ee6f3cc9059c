#include "metadata/recovered_directories.h"

#include "protocol/messages/broker_registration_request.h"

namespace millrace::metadata {
namespace {

constexpr std::size_t id_size = 16;

}  // namespace

Buffer encode_recovered_directories(std::span<const Uuid> directories) {
    Buffer bytes(directories.size() * id_size);
    std::byte* to = bytes.data();
    for (const Uuid& id : directories) {
        store_big_endian(to, id.high);
        store_big_endian(to + 8, id.low);
        to += id_size;
    }
    return bytes;
}

std::set<Uuid> recovered_directories(const protocol::BrokerRegistrationRequest& request) {
    std::set<Uuid> directories;
    for (const protocol::UnknownTag& tag : request.unknown_tags) {
        if (tag.tag != recovered_directories_tag || tag.data.size() % id_size != 0) {
            continue;
        }
        for (std::size_t at = 0; at < tag.data.size(); at += id_size) {
            directories.insert(Uuid{load_big_endian<std::uint64_t>(tag.data.data() + at),
                                    load_big_endian<std::uint64_t>(tag.data.data() + at + 8)});
        }
    }
    return directories;
}

}  // namespace millrace::metadata
