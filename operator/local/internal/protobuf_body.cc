#include "operator/local/internal/protobuf_body.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/local/internal/text.h"

namespace millrace::local {

using kube::Json;

namespace {

/// A field's type: string, int, bool, bytes, time, map, bytesmap, int-or-string, or a message of
/// the table. `[]` in front: repeated.
struct FieldRow {
    unsigned number;
    const char* name;
    const char* type;
};

const std::vector<FieldRow>* message_of(std::string_view name) {
    static const std::map<std::string, std::vector<FieldRow>, std::less<>> messages = {
        {"ObjectMeta",
         {{1, "name", "string"},
          {2, "generateName", "string"},
          {3, "namespace", "string"},
          {11, "labels", "map"},
          {12, "annotations", "map"},
          {13, "ownerReferences", "[]OwnerReference"},
          {14, "finalizers", "[]string"}}},
        {"OwnerReference",
         {{1, "kind", "string"},
          {3, "name", "string"},
          {4, "uid", "string"},
          {5, "apiVersion", "string"},
          {6, "controller", "bool"},
          {7, "blockOwnerDeletion", "bool"}}},
        {"ConfigMap",
         {{1, "metadata", "ObjectMeta"},
          {2, "data", "map"},
          {3, "binaryData", "bytesmap"},
          {4, "immutable", "bool"}}},
        {"Secret",
         {{1, "metadata", "ObjectMeta"},
          {2, "data", "bytesmap"},
          {3, "type", "string"},
          {4, "stringData", "map"},
          {5, "immutable", "bool"}}},
        {"Namespace", {{1, "metadata", "ObjectMeta"}}},
        {"ServiceAccount", {{1, "metadata", "ObjectMeta"}}},
        {"SelfSubjectAccessReview", {{1, "metadata", "ObjectMeta"}}},
        {"Eviction", {{1, "metadata", "ObjectMeta"}, {2, "deleteOptions", "DeleteOptions"}}},
        {"DeleteOptions",
         {{1, "gracePeriodSeconds", "int"},
          {2, "preconditions", "Preconditions"},
          {3, "orphanDependents", "bool"},
          {4, "propagationPolicy", "string"},
          {5, "dryRun", "[]string"}}},
        {"Preconditions", {{1, "uid", "string"}, {2, "resourceVersion", "string"}}},
        {"Service", {{1, "metadata", "ObjectMeta"}, {2, "spec", "ServiceSpec"}}},
        {"ServiceSpec",
         {{1, "ports", "[]ServicePort"},
          {2, "selector", "map"},
          {3, "clusterIP", "string"},
          {4, "type", "string"}}},
        {"ServicePort",
         {{1, "name", "string"},
          {2, "protocol", "string"},
          {3, "port", "int"},
          {4, "targetPort", "int-or-string"},
          {5, "nodePort", "int"}}},
        {"PodDisruptionBudget",
         {{1, "metadata", "ObjectMeta"}, {2, "spec", "PodDisruptionBudgetSpec"}}},
        {"PodDisruptionBudgetSpec",
         {{1, "minAvailable", "int-or-string"},
          {2, "selector", "LabelSelector"},
          {3, "maxUnavailable", "int-or-string"}}},
        {"LabelSelector", {{1, "matchLabels", "map"}}},
    };
    const auto found = messages.find(name);
    return found == messages.end() ? nullptr : &found->second;
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}

    bool done() const { return rest_.empty() || bad_; }
    bool bad() const { return bad_; }

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) {
                break;
            }
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) {
                return value;
            }
        }
        bad_ = true;
        return 0;
    }

    std::string_view bytes() {
        const std::uint64_t size = varint();
        if (bad_ || size > rest_.size()) {
            bad_ = true;
            return {};
        }
        const std::string_view out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }

    void skip(unsigned wire_type) {
        if (wire_type == 0) {
            varint();
        } else if (wire_type == 2) {
            bytes();
        } else {
            bad_ = true;  // No message of the table has fixed-width fields.
        }
    }

private:
    std::string_view rest_;
    bool bad_ = false;
};

std::optional<Json> message(std::string_view type, std::string_view bytes, int depth);

/// A map's entry is a message of key (1) and value (2).
bool map_entry(Json& map, std::string_view bytes, bool binary) {
    Reader reader(bytes);
    std::string key;
    std::string value;
    while (!reader.done()) {
        const std::uint64_t tag = reader.varint();
        const std::string_view text = (tag & 7) == 2 ? reader.bytes() : std::string_view{};
        (tag >> 3 == 1 ? key : value) = text;
    }
    map[key] = binary ? to_base64(value) : value;
    return !reader.bad();
}

std::optional<Json> int_or_string(std::string_view bytes) {
    Reader reader(bytes);
    std::uint64_t type = 0;
    std::uint64_t number = 0;
    std::string text;
    while (!reader.done()) {
        const std::uint64_t tag = reader.varint();
        if (tag >> 3 == 3 && (tag & 7) == 2) {
            text = reader.bytes();
        } else if ((tag & 7) == 0) {
            (tag >> 3 == 1 ? type : number) = reader.varint();
        } else {
            reader.skip(tag & 7);
        }
    }
    if (reader.bad()) {
        return std::nullopt;
    }
    return type == 0 ? Json(static_cast<std::int64_t>(number)) : Json(text);
}

bool read_field(Json& object, const FieldRow& row, unsigned wire_type, Reader& reader, int depth) {
    std::string_view type = row.type;
    const bool repeated = type.starts_with("[]");
    type.remove_prefix(repeated ? 2 : 0);
    if (wire_type == 0) {
        const std::uint64_t value = reader.varint();
        object[row.name] =
            type == "bool" ? Json(value != 0) : Json(static_cast<std::int64_t>(value));
        return true;
    }
    const std::string_view bytes = reader.bytes();
    if (type == "map" || type == "bytesmap") {
        return map_entry(object[row.name], bytes, type == "bytesmap");
    }
    std::optional<Json> value;
    if (type == "string") {
        value = Json(bytes);
    } else if (type == "int-or-string") {
        value = int_or_string(bytes);
    } else {
        value = message(type, bytes, depth + 1);
    }
    if (!value) {
        return false;
    }
    const bool unset = type == "string" && bytes.empty() && !repeated;
    if (repeated) {
        object[row.name].push_back(*std::move(value));
    } else if (!unset) {
        object[row.name] = *std::move(value);
    }
    return true;
}

std::optional<Json> message(std::string_view type, std::string_view bytes, int depth) {
    const std::vector<FieldRow>* rows = message_of(type);
    if (rows == nullptr || depth > 8) {
        return std::nullopt;
    }
    Json object = Json::object({});
    Reader reader(bytes);
    while (!reader.done()) {
        const std::uint64_t tag = reader.varint();
        const auto wire_type = static_cast<unsigned>(tag & 7);
        const FieldRow* row = nullptr;
        for (const FieldRow& candidate : *rows) {
            row = candidate.number == tag >> 3 ? &candidate : row;
        }
        if (row == nullptr || (wire_type != 0 && wire_type != 2)) {
            reader.skip(wire_type);
        } else if (!read_field(object, *row, wire_type, reader, depth)) {
            return std::nullopt;
        }
    }
    return reader.bad() ? std::nullopt : std::optional(std::move(object));
}

}  // namespace

Result<Json> parse_kubernetes_protobuf(std::string_view body) {
    constexpr std::string_view magic("k8s\0", 4);
    if (!body.starts_with(magic)) {
        return Error(Code::invalid, "the body doesn't begin as Kubernetes' protobuf does");
    }
    Reader envelope(body.substr(magic.size()));
    std::string api_version;
    std::string kind;
    std::string_view raw;
    while (!envelope.done()) {
        const std::uint64_t tag = envelope.varint();
        if (tag == (1 << 3 | 2)) {
            Reader type(envelope.bytes());
            while (!type.done()) {
                const std::uint64_t field = type.varint();
                (field >> 3 == 1 ? api_version : kind) = type.bytes();
            }
        } else if (tag == (2 << 3 | 2)) {
            raw = envelope.bytes();
        } else {
            envelope.skip(tag & 7);
        }
    }
    auto object = envelope.bad() ? std::nullopt : message(kind, raw, 0);
    if (!object) {
        return Error::make(Code::unsupported, "a {} is not understood in protobuf", kind);
    }
    (*object)["apiVersion"] = api_version;
    (*object)["kind"] = kind;
    return *std::move(object);
}

}  // namespace millrace::local
