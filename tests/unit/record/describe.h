// A batch in the words of tests/vectors/records, and those files read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace millrace::record {

/// The lines that RecordVectors.java writes for the same bytes; an error is a line of its own.
std::vector<std::string> describe(ByteView batch);

struct Vector {
    std::string name;
    Buffer bytes;
    std::vector<std::string> lines;
};

/// batches.txt, librdkafka.txt
std::vector<Vector> read_vectors(std::string_view file);

std::vector<std::string> read_lines(std::string_view file);
std::vector<std::string> split(const std::string& line, char at);
Buffer from_base64(std::string_view text);
std::string to_base64(ByteView bytes);

}  // namespace millrace::record
