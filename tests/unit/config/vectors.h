// Reads the tab separated files in tests/vectors/config.
#pragma once

#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace millrace::config {

inline std::string unescaped_field(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (text[++i]) {
            case 't':
                out += '\t';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 'f':
                out += '\f';
                break;
            default:
                out += text[i];
        }
    }
    return out;
}

/// Lines cut at tabs; fields are still escaped.
inline std::vector<std::vector<std::string>> read_vectors(const std::string& name) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/tests/vectors/config/" + name};
    EXPECT_TRUE(file.good()) << name;
    std::vector<std::vector<std::string>> rows;
    for (std::string line; std::getline(file, line);) {
        std::vector<std::string> fields(1);
        for (const char c : line) {
            if (c == '\t') {
                fields.emplace_back();
            } else {
                fields.back() += c;
            }
        }
        rows.push_back(std::move(fields));
    }
    EXPECT_FALSE(rows.empty());
    return rows;
}

}  // namespace millrace::config
