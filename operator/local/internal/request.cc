#include "operator/local/internal/request.h"

#include <algorithm>
#include <charconv>

namespace millrace::local {

namespace {

std::string decoded(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] == '%' && i + 2 < text.size() + 0 &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr ==
                text.data() + i + 3) {
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

}  // namespace

std::string Request::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

std::string Request::parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? "" : found->second;
}

bool Request::flag(const std::string& name) const {
    const std::string value = parameter(name);
    return value == "true" || value == "1";
}

Request make_request(std::string method, std::string_view target) {
    Request request;
    request.method = std::move(method);
    const std::size_t question = std::min(target.find('?'), target.size());
    request.path = decoded(target.substr(0, question), false);
    std::string_view rest = target.substr(std::min(question + 1, target.size()));
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        request.query[decoded(pair.substr(0, equals), true)] =
            decoded(pair.substr(std::min(equals + 1, pair.size())), true);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return request;
}

}  // namespace millrace::local
