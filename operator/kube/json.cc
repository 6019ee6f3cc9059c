#include "operator/kube/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace millrace::kube {

namespace {

const Json null_json;
const std::string empty_text;
const Json::Array no_items;
const Json::Object no_members;

class Printer {
public:
    explicit Printer(bool pretty) : pretty_(pretty) {}

    void print(const Json& value) {
        if (value.is_null()) {
            out_ += "null";
        } else if (value.is_bool()) {
            out_ += value.boolean() ? "true" : "false";
        } else if (value.is_integer()) {
            out_ += std::to_string(value.integer());
        } else if (value.is_number()) {
            print_double(value.number());
        } else if (value.is_string()) {
            print_string(value.text());
        } else if (value.is_array()) {
            print_array(value.items());
        } else {
            print_object(value.members());
        }
    }

    std::string take() { return std::move(out_); }

private:
    void print_double(double value) {
        if (!std::isfinite(value)) {
            out_ += "null";  // JSON has no word for it.
            return;
        }
        out_ += fmt::format("{}", value);
    }

    void print_string(std::string_view text) {
        out_ += '"';
        for (const char c : text) {
            switch (c) {
                case '"':
                    out_ += "\\\"";
                    break;
                case '\\':
                    out_ += "\\\\";
                    break;
                case '\n':
                    out_ += "\\n";
                    break;
                case '\r':
                    out_ += "\\r";
                    break;
                case '\t':
                    out_ += "\\t";
                    break;
                default:
                    if (static_cast<unsigned char>(c) < 0x20) {
                        out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
                    } else {
                        out_ += c;
                    }
            }
        }
        out_ += '"';
    }

    void print_array(const Json::Array& items) {
        out_ += '[';
        ++depth_;
        bool first = true;
        for (const Json& item : items) {
            separate(first);
            print(item);
        }
        --depth_;
        end(first, ']');
    }

    void print_object(const Json::Object& members) {
        out_ += '{';
        ++depth_;
        bool first = true;
        for (const auto& [name, value] : members) {
            separate(first);
            print_string(name);
            out_ += pretty_ ? ": " : ":";
            print(value);
        }
        --depth_;
        end(first, '}');
    }

    void separate(bool& first) {
        if (!first) {
            out_ += ',';
        }
        first = false;
        new_line();
    }

    void end(bool was_empty, char bracket) {
        if (!was_empty) {
            new_line();
        }
        out_ += bracket;
    }

    void new_line() {
        if (pretty_) {
            out_ += '\n';
            out_.append(depth_ * 2, ' ');
        }
    }

    const bool pretty_;
    std::size_t depth_ = 0;
    std::string out_;
};

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<Json> whole() {
        MR_TRY(Json value, any(0));
        skip_space();
        if (at_ != text_.size()) {
            return fail("something follows the value");
        }
        return value;
    }

private:
    static constexpr int deepest = 128;

    Error fail(std::string_view what) const {
        return Error::make(Code::invalid, "JSON at byte {}: {}", at_, what);
    }

    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\r' || text_[at_] == '\t')) {
            ++at_;
        }
    }

    bool take(char c) {
        skip_space();
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    bool take_word(std::string_view word) {
        if (text_.substr(at_, word.size()) == word) {
            at_ += word.size();
            return true;
        }
        return false;
    }

    Result<Json> any(int depth) {
        if (depth > deepest) {
            return fail("nested too deeply");
        }
        skip_space();
        if (at_ == text_.size()) {
            return fail("a value is missing");
        }
        switch (text_[at_]) {
            case '{':
                return object(depth);
            case '[':
                return array(depth);
            case '"': {
                MR_TRY(std::string text, string());
                return Json(std::move(text));
            }
            case 't':
                return take_word("true") ? Result<Json>(Json(true)) : fail("not a value");
            case 'f':
                return take_word("false") ? Result<Json>(Json(false)) : fail("not a value");
            case 'n':
                return take_word("null") ? Result<Json>(Json()) : fail("not a value");
            default:
                return number();
        }
    }

    Result<Json> object(int depth) {
        ++at_;
        Json::Object members;
        if (take('}')) {
            return Json(std::move(members));
        }
        while (true) {
            skip_space();
            if (at_ == text_.size() || text_[at_] != '"') {
                return fail("a member's name is missing");
            }
            MR_TRY(std::string name, string());
            if (!take(':')) {
                return fail("':' is missing");
            }
            MR_TRY(Json value, any(depth + 1));
            members.insert_or_assign(std::move(name), std::move(value));
            if (take('}')) {
                return Json(std::move(members));
            }
            if (!take(',')) {
                return fail("',' or '}' is missing");
            }
        }
    }

    Result<Json> array(int depth) {
        ++at_;
        Json::Array items;
        if (take(']')) {
            return Json(std::move(items));
        }
        while (true) {
            MR_TRY(Json value, any(depth + 1));
            items.push_back(std::move(value));
            if (take(']')) {
                return Json(std::move(items));
            }
            if (!take(',')) {
                return fail("',' or ']' is missing");
            }
        }
    }

    Result<std::string> string() {
        ++at_;
        // Most have nothing escaped: these are taken whole, in as much memory as they need.
        const std::size_t plain = text_.find_first_of("\"\\", at_);
        std::string out(text_.substr(at_, plain == text_.npos ? 0 : plain - at_));
        if (std::any_of(out.begin(), out.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
            return fail("a control character in a string");
        }
        at_ += out.size();
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                return out;
            }
            if (static_cast<unsigned char>(c) < 0x20) {
                return fail("a control character in a string");
            }
            if (c != '\\') {
                out += c;
                continue;
            }
            MR_TRY_VOID(escape(out));
        }
        return fail("a string without end");
    }

    Result<void> escape(std::string& out) {
        if (at_ == text_.size()) {
            return fail("a string without end");
        }
        switch (text_[at_++]) {
            case '"':
                out += '"';
                return {};
            case '\\':
                out += '\\';
                return {};
            case '/':
                out += '/';
                return {};
            case 'b':
                out += '\b';
                return {};
            case 'f':
                out += '\f';
                return {};
            case 'n':
                out += '\n';
                return {};
            case 'r':
                out += '\r';
                return {};
            case 't':
                out += '\t';
                return {};
            case 'u':
                return unicode(out);
            default:
                return fail("an unknown escape");
        }
    }

    Result<std::uint32_t> four_digits() {
        std::uint32_t value = 0;
        const std::string_view digits = text_.substr(at_, 4);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (error != std::errc{} || digits.size() != 4 || end != digits.data() + 4) {
            return fail("four hexadecimal digits are missing");
        }
        at_ += 4;
        return value;
    }

    Result<void> unicode(std::string& out) {
        MR_TRY(std::uint32_t point, four_digits());
        if (point >= 0xd800 && point < 0xdc00 && take_word("\\u")) {
            MR_TRY(const std::uint32_t low, four_digits());
            if (low < 0xdc00 || low > 0xdfff) {
                return fail("half of a surrogate pair");
            }
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        }
        if (point >= 0xd800 && point < 0xe000) {
            point = 0xfffd;  // A lone surrogate is no character; Go replaces it too.
        }
        append_utf8(out, point);
        return {};
    }

    static void append_utf8(std::string& out, std::uint32_t point) {
        const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
        if (point < 0x80) {
            byte(point);
        } else if (point < 0x800) {
            byte(0xc0 | (point >> 6));
            byte(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            byte(0xe0 | (point >> 12));
            byte(0x80 | ((point >> 6) & 0x3f));
            byte(0x80 | (point & 0x3f));
        } else {
            byte(0xf0 | (point >> 18));
            byte(0x80 | ((point >> 12) & 0x3f));
            byte(0x80 | ((point >> 6) & 0x3f));
            byte(0x80 | (point & 0x3f));
        }
    }

    Result<Json> number() {
        const std::size_t from = at_;
        bool whole_number = true;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '.' || c == 'e' || c == 'E' || (c == '+' && !whole_number)) {
                whole_number = false;
            } else if (c != '-' && (c < '0' || c > '9')) {
                break;
            }
            ++at_;
        }
        const std::string_view digits = text_.substr(from, at_ - from);
        const char* const end = digits.data() + digits.size();
        if (whole_number) {
            std::int64_t value = 0;
            const auto parsed = std::from_chars(digits.data(), end, value);
            if (parsed.ec == std::errc{} && parsed.ptr == end && !digits.empty()) {
                return Json(value);
            }
        }
        double value = 0;
        const auto parsed = std::from_chars(digits.data(), end, value);
        if (parsed.ec != std::errc{} || parsed.ptr != end || digits.empty()) {
            at_ = from;
            return fail("not a value");
        }
        return Json(value);
    }

    const std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

Json Json::object(std::initializer_list<Member> members) {
    return Json(Object(members.begin(), members.end()));
}

Json Json::array(std::initializer_list<Json> items) {
    return Json(Array(items));
}

Result<Json> Json::parse(std::string_view text) {
    return Parser(text).whole();
}

std::string Json::dump() const {
    Printer printer(/*pretty=*/false);
    printer.print(*this);
    return printer.take();
}

std::string Json::dump_pretty() const {
    Printer printer(/*pretty=*/true);
    printer.print(*this);
    return printer.take();
}

const std::string& Json::text() const {
    const auto* text = std::get_if<std::string>(&value_);
    return text ? *text : empty_text;
}

std::string Json::text_or(std::string_view fallback) const {
    return is_string() ? text() : std::string(fallback);
}

std::int64_t Json::integer(std::int64_t fallback) const {
    if (const auto* value = std::get_if<std::int64_t>(&value_)) {
        return *value;
    }
    if (const auto* value = std::get_if<double>(&value_); value && std::abs(*value) < 9e18) {
        return static_cast<std::int64_t>(*value);
    }
    return fallback;
}

double Json::number(double fallback) const {
    if (const auto* value = std::get_if<std::int64_t>(&value_)) {
        return static_cast<double>(*value);
    }
    const auto* value = std::get_if<double>(&value_);
    return value ? *value : fallback;
}

bool Json::boolean(bool fallback) const {
    const auto* value = std::get_if<bool>(&value_);
    return value ? *value : fallback;
}

const Json::Array& Json::items() const {
    const auto* items = std::get_if<Array>(&value_);
    return items ? *items : no_items;
}

const Json::Object& Json::members() const {
    const auto* members = std::get_if<Object>(&value_);
    return members ? *members : no_members;
}

const Json* Json::find(std::string_view name) const {
    const Object& all = members();
    const auto found = all.find(name);
    return found == all.end() ? nullptr : &found->second;
}

Json* Json::find(std::string_view name) {
    return const_cast<Json*>(std::as_const(*this).find(name));
}

const Json& Json::operator[](std::string_view name) const {
    const Json* found = find(name);
    return found ? *found : null_json;
}

const Json& Json::operator[](std::size_t index) const {
    const Array& all = items();
    return index < all.size() ? all[index] : null_json;
}

std::size_t Json::size() const {
    return items().size() + members().size();
}

Json& Json::operator[](std::string_view name) {
    Object& all = mutable_members();
    const auto found = all.find(name);
    return found == all.end() ? all.emplace(std::string(name), Json()).first->second
                              : found->second;
}

Json& Json::operator[](std::size_t index) {
    MR_ASSERT(index < items().size());
    return mutable_items()[index];
}

Json::Array& Json::mutable_items() {
    if (!is_array()) {
        value_ = Array{};
    }
    return std::get<Array>(value_);
}

Json::Object& Json::mutable_members() {
    if (!is_object()) {
        value_ = Object{};
    }
    return std::get<Object>(value_);
}

void Json::erase(std::string_view name) {
    if (auto* members = std::get_if<Object>(&value_)) {
        if (const auto found = members->find(name); found != members->end()) {
            members->erase(found);
        }
    }
}

}  // namespace millrace::kube
