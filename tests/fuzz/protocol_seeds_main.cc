// protocol_seeds TARGET FOLDER: the golden vectors of a target's family as its first inputs.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/protocol_input.h"
#include "tests/support/protocol_vectors.h"

int main(int argc, char** argv) {
    using namespace millrace;
    constexpr std::string_view prefix = "fuzz_protocol_";
    const std::string target = argc == 3 ? argv[1] : "";
    if (target.rfind(prefix, 0) != 0) {
        std::fprintf(stderr, "usage: protocol_seeds fuzz_protocol_FAMILY FOLDER\n");
        return 2;
    }
    const auto types = fuzz::family_of(target.substr(prefix.size()));
    for (const std::string& family : test::vector_families) {
        for (const test::ProtocolVector& vector : test::protocol_vectors(family)) {
            for (std::size_t i = 0; i < types.size(); ++i) {
                if (types[i].name != vector.message || vector.bytes.size() > 4096) {
                    continue;
                }
                const std::string name =
                    vector.message + "_" + std::to_string(vector.version) + "_" + vector.kind;
                std::ofstream file(std::filesystem::path(argv[2]) / name, std::ios::binary);
                file.put(static_cast<char>(i / 256));
                file.put(static_cast<char>(i % 256));
                file.put(static_cast<char>(vector.version - types[i].min_version));
                file.write(reinterpret_cast<const char*>(vector.bytes.data()),
                           static_cast<std::streamsize>(vector.bytes.size()));
            }
        }
    }
    return 0;
}
