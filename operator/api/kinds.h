// operator/api/kinds.h
//
// Our kinds as Kubernetes has to know them: CustomResourceDefinitions, and each CEL rule with the
// C++ predicate that says the same. Everything is drawn from the descriptions in internal/, the
// same ones that the parsers of cluster.h, topic.h and mirror_link.h walk. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "operator/kube/json.h"

namespace millrace::api {

inline constexpr std::string_view group = "millrace.dev";
inline constexpr std::string_view version = "v1";
inline constexpr std::string_view group_version = "millrace.dev/v1";

/// One `x-kubernetes-validations` rule. `old_self` is null when there is no older value: then a
/// rule about a change isn't asked.
struct Rule {
    std::string cel;
    std::string message;
    std::function<bool(const kube::Json& self, const kube::Json* old_self)> holds;
};

/// By CEL text: what local mode's API server judges by (the same type as local::RuleTable).
using RuleTable =
    std::map<std::string, std::function<bool(const kube::Json&, const kube::Json*)>, std::less<>>;

struct Kind {
    std::string name;        ///< "Cluster"
    std::string plural;      ///< "clusters"
    std::string short_name;  ///< "mrc"
    kube::Json crd;          ///< The whole CustomResourceDefinition.
    std::vector<Rule> rules;
};

const std::vector<Kind>& kinds();

/// The definitions alone, and all rules, as local mode wants them.
std::vector<kube::Json> crds();
RuleTable rule_table();

/// docs/api.md
std::string reference_page();

/// crds/PLURAL.yaml, and the same as a template of the chart, which keeps it on uninstall.
std::string definition_file(const Kind& kind);
std::string chart_template(const Kind& kind);

/// Block style, short values on one line.
std::string to_yaml(const kube::Json& object);

}  // namespace millrace::api
