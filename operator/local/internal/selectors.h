// operator/local/internal/selectors.h
//
// Label and field selectors as queries spell them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/local/internal/api_error.h"

namespace millrace::local {

struct Requirement {
    enum class Operator { in, not_in, exists, absent };
    std::string key;
    Operator op = Operator::exists;
    std::vector<std::string> values;
};

class LabelSelector {
public:
    static ApiResult<LabelSelector> parse(std::string_view text);
    /// matchLabels and matchExpressions, or a Service's plain map.
    static LabelSelector from_object(const Json& selector);
    static LabelSelector from_labels(const Json& labels);

    bool matches(const Json& labels) const;
    bool empty() const { return requirements_.empty(); }

private:
    std::vector<Requirement> requirements_;
};

class FieldSelector {
public:
    /// Fields that can't be selected are refused, as the API does. `selectable` are a CRD's own.
    static ApiResult<FieldSelector> parse(std::string_view text, std::string_view kind,
                                          const std::vector<std::string>& selectable);
    bool matches(const Json& object) const;
    bool empty() const { return terms_.empty(); }

private:
    struct Term {
        std::string path;
        std::string value;
        bool equal = true;
    };
    std::vector<Term> terms_;
};

struct Selectors {
    LabelSelector labels;
    FieldSelector fields;

    bool matches(const Json& object) const {
        return labels.matches(object["metadata"]["labels"]) && fields.matches(object);
    }
};

}  // namespace millrace::local
