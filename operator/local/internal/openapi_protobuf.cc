// OpenAPI v2 in protobuf, which is the only form in which kubectl asks for it. The field numbers
// are those of the public message openapi.v2.Document; we need too few of them for generated code.
#include <string>

#include "operator/local/internal/discovery.h"

namespace millrace::local {

namespace {

class Message {
public:
    void text(unsigned field, std::string_view value) {
        varint(field << 3 | 2);
        varint(value.size());
        out_ += value;
    }
    void message(unsigned field, const Message& inner) { text(field, inner.out_); }
    void texts(unsigned field, const Json& list) {
        for (const Json& item : list.items()) {
            text(field, item.text());
        }
    }
    const std::string& bytes() const { return out_; }

private:
    void varint(std::uint64_t value) {
        while (value >= 0x80) {
            out_ += static_cast<char>(value | 0x80);
            value >>= 7;
        }
        out_ += static_cast<char>(value);
    }

    std::string out_;
};

Message any(const Json& value) {
    Message message;
    message.text(2, value.dump());  // `yaml`; JSON is YAML.
    return message;
}

Message named(std::string_view name, const Message& value) {
    Message message;
    message.text(1, name);
    message.message(2, value);
    return message;
}

void extensions(const Json& from, unsigned field, Message& to) {
    for (const auto& [name, value] : from.members()) {
        if (name.starts_with("x-")) {
            to.message(field, named(name, any(value)));
        }
    }
}

Message schema_message(const Json& schema) {
    Message message;
    if (schema.has("$ref")) {
        message.text(1, schema["$ref"].text());
    }
    for (const auto& [field, name] :
         {std::pair{2U, "format"}, std::pair{4U, "description"}, std::pair{17U, "pattern"}}) {
        if (schema.has(name)) {
            message.text(field, schema[name].text());
        }
    }
    message.texts(19, schema["required"]);
    for (const Json& value : schema["enum"].items()) {
        message.message(20, any(value));
    }
    if (schema["additionalProperties"].is_object()) {
        Message item;
        item.message(1, schema_message(schema["additionalProperties"]));
        message.message(21, item);
    }
    if (schema.has("type")) {
        Message type;
        type.text(1, schema["type"].text());
        message.message(22, type);
    }
    if (schema["items"].is_object()) {
        Message items;
        items.message(1, schema_message(schema["items"]));
        message.message(23, items);
    }
    if (!schema["properties"].empty()) {
        Message properties;
        for (const auto& [name, property] : schema["properties"].members()) {
            properties.message(1, named(name, schema_message(property)));
        }
        message.message(25, properties);
    }
    extensions(schema, 31, message);
    return message;
}

Message parameter_message(const Json& parameter) {
    Message query;
    query.text(2, "query");
    query.text(4, parameter["name"].text());
    query.text(6, "string");
    Message non_body;
    non_body.message(3, query);
    Message either;
    either.message(2, non_body);
    Message item;
    item.message(1, either);
    return item;
}

Message operation_message(const Json& operation) {
    Message message;
    message.text(5, operation["operationId"].text());
    for (const Json& parameter : operation["parameters"].items()) {
        message.message(8, parameter_message(parameter));
    }
    Message description;
    description.text(1, "OK");
    Message response;
    response.message(1, description);
    Message responses;
    responses.message(1, named("200", response));
    message.message(9, responses);
    extensions(operation, 13, message);
    return message;
}

Message path_message(const Json& path) {
    Message message;
    for (const auto& [field, verb] : {std::pair{2U, "get"}, std::pair{3U, "put"},
                                      std::pair{4U, "post"}, std::pair{8U, "patch"}}) {
        if (path.has(verb)) {
            message.message(field, operation_message(path[verb]));
        }
    }
    return message;
}

}  // namespace

std::string openapi_v2_protobuf(const Json& swagger) {
    Message document;
    document.text(1, swagger["swagger"].text());
    Message info;
    info.text(1, swagger["info"]["title"].text());
    info.text(2, swagger["info"]["version"].text());
    document.message(2, info);
    Message paths;
    for (const auto& [name, path] : swagger["paths"].members()) {
        paths.message(2, named(name, path_message(path)));
    }
    document.message(8, paths);
    Message definitions;
    for (const auto& [name, schema] : swagger["definitions"].members()) {
        definitions.message(1, named(name, schema_message(schema)));
    }
    document.message(9, definitions);
    return document.bytes();
}

}  // namespace millrace::local
