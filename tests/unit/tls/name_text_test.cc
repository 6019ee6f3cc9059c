#include <fstream>
#include <gtest/gtest.h>
#include <string>

#include "tls/internal/openssl.h"

namespace millrace::tls::internal {
namespace {

std::string bytes_of(const std::string& hexadecimal) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

std::string text_of(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    const std::unique_ptr<X509_NAME, Releases<X509_NAME_free>> name(
        d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    return name ? name_text(name.get()) : "not a name";
}

std::string replaced(std::string text, const std::string& word, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
        text.replace(at, word.size(), by);
    }
    return text;
}

// The file holds names in DER and what Java's X500Principal.getName() says: what Kafka's rules and
// access rules are written for.
TEST(NameText, is_what_java_writes) {
    std::ifstream file(MILLRACE_SOURCE_DIR "/tests/vectors/tls/java_names.txt");
    int lines = 0;
    for (std::string line; std::getline(file, line); ++lines) {
        const auto tab = line.find('\t');
        const std::string expected =
            replaced(replaced(line.substr(tab + 1), "<TAB>", "\t"), "<CR>", "\r");
        EXPECT_EQ(text_of(bytes_of(line.substr(0, tab))), expected) << line;
    }
    EXPECT_GT(lines, 20);
}

// Java puts one replacement character for whatever is no UTF-8, so that two names look like one.
TEST(NameText, keeps_apart_what_is_no_text) {
    const std::string one =
        text_of(bytes_of("300d310b3009060355040314"
                         "02"
                         "fffe"));
    const std::string other =
        text_of(bytes_of("300d310b3009060355040314"
                         "02"
                         "fefe"));
    EXPECT_EQ(one, "CN=#1402fffe");
    EXPECT_NE(one, other);
}

}  // namespace
}  // namespace millrace::tls::internal
