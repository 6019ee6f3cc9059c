#include "operator/kube/yaml.h"

#include <cctype>
#include <string>
#include <yaml-cpp/yaml.h>

namespace millrace::kube {

namespace {

constexpr int deepest = 128;

Json plain_scalar(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
        return {};
    }
    if (text == "true" || text == "True" || text == "TRUE") {
        return true;
    }
    if (text == "false" || text == "False" || text == "FALSE") {
        return false;
    }
    const bool number_like =
        std::isdigit(static_cast<unsigned char>(text.back())) != 0 &&
        (std::isdigit(static_cast<unsigned char>(text.front())) != 0 || text.front() == '-');
    if (number_like) {
        if (auto number = Json::parse(text); number && number->is_number()) {
            return *std::move(number);
        }
    }
    return text;
}

Result<Json> convert(const YAML::Node& node, int depth) {
    if (depth > deepest) {
        return Error(Code::invalid, "YAML is nested too deeply");
    }
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            return node.Tag() == "!" ? Json(node.Scalar()) : plain_scalar(node.Scalar());
        case YAML::NodeType::Sequence: {
            Json::Array items;
            for (const YAML::Node& item : node) {
                MR_TRY(Json value, convert(item, depth + 1));
                items.push_back(std::move(value));
            }
            return Json(std::move(items));
        }
        case YAML::NodeType::Map: {
            Json::Object members;
            for (const auto& member : node) {
                MR_TRY(Json value, convert(member.second, depth + 1));
                if (!members.emplace(member.first.Scalar(), std::move(value)).second) {
                    return Error::make(Code::invalid, "line {}: {} is there twice",
                                       member.first.Mark().line + 1, member.first.Scalar());
                }
            }
            return Json(std::move(members));
        }
        default:
            return Json();
    }
}

}  // namespace

Result<std::vector<Json>> parse_yaml(std::string_view text) {
    try {  // yaml-cpp throws on what it can't read.
        std::vector<Json> documents;
        for (const YAML::Node& node : YAML::LoadAll(std::string(text))) {
            MR_TRY(Json document, convert(node, 0));
            if (!document.is_null()) {
                documents.push_back(std::move(document));
            }
        }
        return documents;
    } catch (const YAML::Exception& exception) {
        return Error(Code::invalid, exception.what());
    }
}

}  // namespace millrace::kube
