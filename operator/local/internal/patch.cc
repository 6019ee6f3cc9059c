#include "operator/local/internal/patch.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

namespace millrace::local {

Json merge_patch(Json target, const Json& patch) {
    if (!patch.is_object()) {
        return patch;
    }
    for (const auto& [name, change] : patch.members()) {
        if (change.is_null()) {
            target.erase(name);
        } else {
            target[name] = merge_patch(std::as_const(target)[name], change);
        }
    }
    if (!target.is_object()) {
        target = Json::object({});
    }
    return target;
}

namespace {

ApiError cannot_apply(std::string why) {
    return {422,
            "Invalid",
            "the server rejected our request due to an error in our request: " + why,
            {}};
}

Result<std::vector<std::string>> pointer(const std::string& text) {
    std::vector<std::string> parts;
    if (text.empty()) {
        return parts;
    }
    if (text[0] != '/') {
        return Error::make(Code::invalid, "path {} doesn't begin with /", text);
    }
    for (std::size_t from = 1; from <= text.size();) {
        const std::size_t end = std::min(text.find('/', from), text.size());
        std::string part;
        for (std::size_t i = from; i < end; ++i) {
            if (text[i] == '~' && i + 1 < end) {
                part += text[++i] == '1' ? '/' : '~';
            } else {
                part += text[i];
            }
        }
        parts.push_back(std::move(part));
        from = end + 1;
    }
    return parts;
}

std::optional<std::size_t> index_in(const Json& list, const std::string& text, bool may_append) {
    if (text == "-") {
        return may_append ? std::optional(list.size()) : std::nullopt;
    }
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && index < list.size() + (may_append ? 1 : 0) ? std::optional(index)
                                                               : std::nullopt;
}

/// Where the last part of the path lives, and null if the way there doesn't exist.
Json* parent_of(Json& target, const std::vector<std::string>& path) {
    Json* at = &target;
    for (std::size_t i = 0; i + 1 < path.size() && at != nullptr; ++i) {
        if (at->is_array()) {
            const auto index = index_in(*at, path[i], false);
            at = index ? &(*at)[*index] : nullptr;
        } else {
            at = at->find(path[i]);
        }
    }
    return at;
}

const Json* value_at(Json& target, const std::vector<std::string>& path) {
    if (path.empty()) {
        return &target;
    }
    Json* parent = parent_of(target, path);
    if (parent == nullptr) {
        return nullptr;
    }
    if (parent->is_array()) {
        const auto index = index_in(*parent, path.back(), false);
        return index ? &(*parent)[*index] : nullptr;
    }
    return parent->find(path.back());
}

bool add(Json& target, const std::vector<std::string>& path, Json value) {
    if (path.empty()) {
        target = std::move(value);
        return true;
    }
    Json* parent = parent_of(target, path);
    if (parent == nullptr || !(parent->is_array() || parent->is_object())) {
        return false;
    }
    if (parent->is_array()) {
        const auto index = index_in(*parent, path.back(), true);
        if (!index) {
            return false;
        }
        Json::Array& items = parent->mutable_items();
        items.insert(items.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
    } else {
        (*parent)[path.back()] = std::move(value);
    }
    return true;
}

bool remove(Json& target, const std::vector<std::string>& path) {
    if (path.empty() || value_at(target, path) == nullptr) {
        return false;
    }
    Json* parent = parent_of(target, path);
    if (parent->is_array()) {
        const auto index = index_in(*parent, path.back(), false);
        Json::Array& items = parent->mutable_items();
        items.erase(items.begin() + static_cast<std::ptrdiff_t>(*index));
    } else {
        parent->erase(path.back());
    }
    return true;
}

ApiResult<void> apply_operation(Json& target, const Json& operation) {
    const std::string& op = operation["op"].text();
    const auto path = pointer(operation["path"].text());
    const auto from = pointer(operation["from"].text());
    if (!path || !from) {
        return cannot_apply("a path of a JSON patch begins with /");
    }
    bool done = false;
    if (op == "add") {
        done = add(target, *path, operation["value"]);
    } else if (op == "remove") {
        done = remove(target, *path);
    } else if (op == "replace") {
        done = path->empty() || remove(target, *path);
        done = done && add(target, *path, operation["value"]);
    } else if (op == "move" || op == "copy") {
        const Json* source = value_at(target, *from);
        if (source != nullptr) {
            Json value = *source;
            done = (op == "copy" || remove(target, *from)) && add(target, *path, std::move(value));
        }
    } else if (op == "test") {
        const Json* value = value_at(target, *path);
        const Json& wanted = operation["value"];
        if (value == nullptr ? !wanted.is_null() : !(*value == wanted)) {
            return cannot_apply(fmt::format("testing value {} failed", operation["path"].text()));
        }
        return {};
    }
    if (!done) {
        return cannot_apply(fmt::format("{} operation does not apply: doc is missing path: {}", op,
                                        operation["path"].text()));
    }
    return {};
}

}  // namespace

ApiResult<Json> json_patch(Json target, const Json& patch) {
    constexpr std::size_t most_operations = 10000;
    if (!patch.is_array() || patch.size() > most_operations) {
        return bad_request("a JSON patch is a list of at most 10000 operations");
    }
    for (const Json& operation : patch.items()) {
        MR_TRY_VOID(apply_operation(target, operation));
    }
    return target;
}

}  // namespace millrace::local
