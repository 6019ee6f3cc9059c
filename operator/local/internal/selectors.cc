#include "operator/local/internal/selectors.h"

#include <algorithm>
#include <cctype>
#include <fmt/core.h>

namespace millrace::local {

namespace {

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

/// Splits at commas that stand outside of parentheses.
std::vector<std::string_view> terms(std::string_view text) {
    std::vector<std::string_view> parts;
    std::size_t from = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i == text.size() || (text[i] == ',' && depth == 0)) {
            if (const auto part = trim(text.substr(from, i - from)); !part.empty()) {
                parts.push_back(part);
            }
            from = i + 1;
        } else if (text[i] == '(') {
            ++depth;
        } else if (text[i] == ')') {
            --depth;
        }
    }
    return parts;
}

bool is_key(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' ||
               c == '.' || c == '/';
    });
}

std::optional<Requirement> set_term(std::string_view term) {
    for (const std::string_view word : {" notin ", " in ", " notin(", " in("}) {
        const std::size_t at = term.find(word);
        const std::size_t open = term.find('(');
        if (at == std::string_view::npos || open == std::string_view::npos || term.back() != ')') {
            continue;
        }
        Requirement requirement{std::string(trim(term.substr(0, at))),
                                word.find("not") == std::string_view::npos
                                    ? Requirement::Operator::in
                                    : Requirement::Operator::not_in,
                                {}};
        for (const std::string_view value : terms(term.substr(open + 1, term.size() - open - 2))) {
            requirement.values.emplace_back(value);
        }
        return requirement;
    }
    return std::nullopt;
}

Requirement equality_term(std::string_view term, std::size_t equals) {
    const bool negative = equals > 0 && term[equals - 1] == '!';
    const std::string_view key = trim(term.substr(0, negative ? equals - 1 : equals));
    std::string_view value = term.substr(equals + 1);
    if (!value.empty() && value.front() == '=') {
        value.remove_prefix(1);
    }
    return {std::string(key),
            negative ? Requirement::Operator::not_in : Requirement::Operator::in,
            {std::string(trim(value))}};
}

}  // namespace

ApiResult<LabelSelector> LabelSelector::parse(std::string_view text) {
    LabelSelector selector;
    for (const std::string_view term : terms(text)) {
        Requirement requirement;
        const std::size_t equals = term.find('=');
        if (auto set = set_term(term)) {
            requirement = *std::move(set);
        } else if (equals != std::string_view::npos) {
            requirement = equality_term(term, equals);
        } else if (term.front() == '!') {
            requirement = {std::string(trim(term.substr(1))), Requirement::Operator::absent, {}};
        } else {
            requirement = {std::string(term), Requirement::Operator::exists, {}};
        }
        if (!is_key(requirement.key)) {
            return bad_request(fmt::format("unable to parse requirement: {}", term));
        }
        selector.requirements_.push_back(std::move(requirement));
    }
    return selector;
}

LabelSelector LabelSelector::from_labels(const Json& labels) {
    LabelSelector selector;
    for (const auto& [key, value] : labels.members()) {
        selector.requirements_.push_back({key, Requirement::Operator::in, {value.text()}});
    }
    return selector;
}

LabelSelector LabelSelector::from_object(const Json& object) {
    LabelSelector selector = from_labels(object["matchLabels"]);
    for (const Json& expression : object["matchExpressions"].items()) {
        const std::string& op = expression["operator"].text();
        Requirement requirement;
        requirement.key = expression["key"].text();
        requirement.op = op == "In"       ? Requirement::Operator::in
                         : op == "NotIn"  ? Requirement::Operator::not_in
                         : op == "Exists" ? Requirement::Operator::exists
                                          : Requirement::Operator::absent;
        for (const Json& value : expression["values"].items()) {
            requirement.values.push_back(value.text());
        }
        selector.requirements_.push_back(std::move(requirement));
    }
    return selector;
}

bool LabelSelector::matches(const Json& labels) const {
    return std::all_of(
        requirements_.begin(), requirements_.end(), [&](const Requirement& requirement) {
            const Json* label = labels.find(requirement.key);
            const auto& values = requirement.values;
            const bool listed =
                label && std::find(values.begin(), values.end(), label->text()) != values.end();
            switch (requirement.op) {
                case Requirement::Operator::in:
                    return listed;
                case Requirement::Operator::not_in:
                    return !listed;
                case Requirement::Operator::exists:
                    return label != nullptr;
                case Requirement::Operator::absent:
                    return label == nullptr;
            }
            return false;
        });
}

ApiResult<FieldSelector> FieldSelector::parse(std::string_view text, std::string_view kind,
                                              const std::vector<std::string>& selectable) {
    static const std::vector<std::string_view> known = {"metadata.name",
                                                        "metadata.namespace",
                                                        "spec.nodeName",
                                                        "status.phase",
                                                        "spec.restartPolicy",
                                                        "status.podIP",
                                                        "spec.unschedulable",
                                                        "type",
                                                        "reason",
                                                        "source",
                                                        "reportingComponent",
                                                        "spec.schedulerName",
                                                        "spec.serviceAccountName",
                                                        "spec.clusterIP",
                                                        "spec.type"};
    FieldSelector selector;
    for (const std::string_view term : terms(text)) {
        const std::size_t equals = term.find('=');
        if (equals == std::string_view::npos) {
            return bad_request(
                fmt::format("invalid selector: '{}'; can't understand '{}'", text, term));
        }
        Requirement parsed = equality_term(term, equals);
        const bool allowed =
            std::find(known.begin(), known.end(), parsed.key) != known.end() ||
            parsed.key.starts_with("involvedObject.") || parsed.key.starts_with("regarding.") ||
            std::find(selectable.begin(), selectable.end(), parsed.key) != selectable.end();
        if (!allowed) {
            return bad_request(fmt::format(
                "Unable to find \"{}\" that match label selector \"\", field selector \"{}\": "
                "field label not supported: {}",
                kind, text, parsed.key));
        }
        selector.terms_.push_back({std::move(parsed.key), std::move(parsed.values[0]),
                                   parsed.op == Requirement::Operator::in});
    }
    return selector;
}

bool FieldSelector::matches(const Json& object) const {
    return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
        const Json* at = &object;
        std::string_view rest = term.path;
        while (!rest.empty()) {
            const std::size_t dot = std::min(rest.find('.'), rest.size());
            at = &(*at)[rest.substr(0, dot)];
            rest.remove_prefix(std::min(dot + 1, rest.size()));
        }
        const std::string text = at->is_string() ? at->text() : at->is_null() ? "" : at->dump();
        return (text == term.value) == term.equal;
    });
}

}  // namespace millrace::local
