#include "tests/support/flat_json.h"

#include <charconv>

#include "base/assert.h"

namespace millrace::test {
namespace {

class Flattener {
public:
    explicit Flattener(std::string_view text) : text_(text) {}

    std::map<std::string, std::string> run() {
        value("");
        MR_ASSERT(at_ == text_.size());
        return std::move(leaves_);
    }

private:
    char next() const {
        MR_ASSERT(at_ < text_.size());
        return text_[at_];
    }
    void expect(char c) {
        MR_ASSERT(next() == c);
        ++at_;
    }

    void value(const std::string& path) {
        switch (next()) {
            case '{':
                return object(path);
            case '[':
                return array(path);
            case '"':
                leaves_[path] = '"' + string();
                return;
            default:
                leaves_[path] = word();
        }
    }

    void object(const std::string& path) {
        expect('{');
        while (next() != '}') {
            const std::string key = string();
            expect(':');
            value(path + "." + key);
            if (next() == ',') {
                ++at_;
            }
        }
        expect('}');
    }

    void array(const std::string& path) {
        expect('[');
        int size = 0;
        while (next() != ']') {
            value(path + "[" + std::to_string(size++) + "]");
            if (next() == ',') {
                ++at_;
            }
        }
        expect(']');
        leaves_[path + ".size"] = std::to_string(size);
    }

    std::string string() {
        std::string out;
        for (expect('"'); next() != '"'; ++at_) {
            if (next() != '\\') {
                out += next();
                continue;
            }
            ++at_;
            if (next() == 'u') {
                unsigned code = 0;
                std::from_chars(&text_[at_ + 1], &text_[at_ + 1] + 4, code, 16);
                MR_ASSERT(code < 0x80);  // Control characters are all that is written this way.
                out += static_cast<char>(code);
                at_ += 4;
            } else {
                out += next();
            }
        }
        expect('"');
        return out;
    }

    std::string word() {
        const std::size_t from = at_;
        while (at_ < text_.size() && std::string_view(",]}").find(text_[at_]) == text_.npos) {
            ++at_;
        }
        return std::string(text_.substr(from, at_ - from));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::map<std::string, std::string> leaves_;
};

}  // namespace

std::map<std::string, std::string> flat_json(std::string_view text) {
    return Flattener(text).run();
}

}  // namespace millrace::test
