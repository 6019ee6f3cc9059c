#include "tests/support/protocol_vectors.h"

#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <zstd.h>

#include "base/assert.h"

namespace millrace::test {
namespace {

std::string decompressed(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string packed(std::istreambuf_iterator<char>(file), {});
    MR_ASSERT(!packed.empty());
    const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
    MR_ASSERT(!ZSTD_isError(size));
    std::string text(size, '\0');
    MR_ASSERT(ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size()) == size);
    return text;
}

std::vector<ProtocolVector> read_vectors(const std::string& family) {
    std::istringstream lines(
        decompressed(MILLRACE_SOURCE_DIR "/tests/vectors/" + family + ".txt.zst"));
    std::vector<ProtocolVector> vectors;
    for (std::string line; std::getline(lines, line);) {
        ProtocolVector& vector = vectors.emplace_back();
        std::istringstream words(line);
        words >> vector.message >> vector.version >> vector.kind;
        const auto hex_at = static_cast<std::size_t>(words.tellg()) + 1;
        const auto hex_end = line.find(' ', hex_at);
        vector.bytes = from_hex(std::string_view(line).substr(hex_at, hex_end - hex_at));
        vector.tree = line.substr(hex_end + 1);
    }
    return vectors;
}

}  // namespace

Buffer from_hex(std::string_view hex) {
    Buffer bytes(hex.size() / 2);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned value = 0;
        const char* at = hex.data() + 2 * i;
        MR_ASSERT(std::from_chars(at, at + 2, value, 16).ptr == at + 2);
        bytes[i] = static_cast<std::byte>(value);
    }
    return bytes;
}

const std::vector<ProtocolVector>& protocol_vectors(const std::string& family) {
    static std::map<std::string, std::vector<ProtocolVector>> families;
    const auto found = families.find(family);
    return found != families.end() ? found->second
                                   : families.emplace(family, read_vectors(family)).first->second;
}

}  // namespace millrace::test
