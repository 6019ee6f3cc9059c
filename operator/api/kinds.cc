#include "operator/api/kinds.h"

#include <fmt/core.h>
#include <optional>

#include "operator/api/internal/kind_schemas.h"

namespace millrace::api {

using kube::Json;

namespace {

struct PrinterColumn {
    std::string_view name;
    std::string_view type;
    std::string_view path;
    int priority = 0;  ///< 1: only with -o wide.
};

struct KindFacts {
    std::string_view name;
    std::string_view plural;
    std::string_view short_name;
    std::string_view doc;
    bool scales = false;
    std::vector<PrinterColumn> columns;
    std::optional<DescribedRule> rule = {};  ///< About the whole object.
};

/// Services and pods are named after it, with up to 22 characters more, and a service's name begins
/// with a letter and is one word. Only the beginning and dots are asked about: the rest is what
/// Kubernetes demands of any name.
DescribedRule name_rule() {
    return {"size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z][^.]*$')",
            "metadata.name must begin with a letter, have no dot and at most 40 characters, as "
            "services and pods are named after it",
            [](const Json& self, const Json*) {
                const std::string& name = self["metadata"]["name"].text();
                return name.size() <= 40 && !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
                       name.find('.') == std::string::npos;
            }};
}

const PrinterColumn age{"Age", "date", ".metadata.creationTimestamp"};
const PrinterColumn message{"Message", "string", ".status.message", 1};

KindFacts cluster_facts() {
    return {"Cluster",
            "clusters",
            "mrc",
            "A cluster of Millrace brokers: how many, on which disks, in which racks. Editing "
            "replicas scales it and moves the data.",
            true,
            {{"Ready", "string", ".status.summary.ready"},
             {"Version", "string", ".status.version"},
             {"Phase", "string", ".status.phase"},
             {"Rolling", "string", ".status.summary.rolling"},
             {"Moving", "string", ".status.summary.moving"},
             age,
             {"Racks", "string", ".status.summary.racks", 1},
             {"URP", "integer", ".status.health.underReplicated", 1},
             {"Bootstrap", "string", ".status.summary.bootstrap", 1},
             message},
            name_rule()};
}

KindFacts topic_facts() {
    return {"Topic",
            "topics",
            "mrt",
            "One topic of a Cluster: partitions, replicas, settings. What is changed elsewhere is "
            "put back.",
            false,
            {{"Cluster", "string", ".spec.clusterRef.name"},
             {"Partitions", "integer", ".status.partitions"},
             {"Replicas", "integer", ".status.replicas"},
             {"Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"},
             age,
             {"Topic", "string", ".status.topicName", 1},
             message}};
}

KindFacts mirror_link_facts() {
    return {"MirrorLink",
            "mirrorlinks",
            "mrl",
            "Topics of one cluster followed by another, byte for byte: disaster recovery, "
            "migration, aggregation. state is the verb.",
            false,
            {{"Source", "string", ".status.summary.source"},
             {"Target", "string", ".spec.clusterRef.name"},
             {"State", "string", ".status.state"},
             {"Topics", "string", ".status.summary.topics"},
             {"Lag", "string", ".status.summary.lag"},
             {"Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"},
             age,
             message}};
}

Json column_json(const PrinterColumn& column) {
    Json json =
        Json::object({{"name", column.name}, {"type", column.type}, {"jsonPath", column.path}});
    if (column.priority != 0) {
        json["priority"] = column.priority;
    }
    return json;
}

Json names_json(const KindFacts& facts) {
    std::string singular(facts.name);
    for (char& c : singular) {
        c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return Json::object({{"kind", facts.name},
                         {"listKind", fmt::format("{}List", facts.name)},
                         {"plural", facts.plural},
                         {"singular", singular},
                         {"shortNames", Json::array({facts.short_name})},
                         {"categories", Json::array({"millrace"})}});
}

Json version_json(const KindFacts& facts, const KindSchemas& schemas) {
    Json schema = Json::object(
        {{"type", "object"}, {"description", facts.doc}, {"required", Json::array({"spec"})}});
    schema["properties"] = Json::object({{"apiVersion", Json::object({{"type", "string"}})},
                                         {"kind", Json::object({{"type", "string"}})},
                                         {"metadata", Json::object({{"type", "object"}})}});
    schema["properties"]["spec"] = schemas.spec;
    schema["properties"]["spec"]["description"] = "What is wanted.";
    schema["properties"]["status"] = schemas.status;
    schema["properties"]["status"]["description"] = "What is seen. Written by the operator.";
    if (facts.rule) {
        schema["x-kubernetes-validations"].push_back(
            Json::object({{"rule", facts.rule->cel}, {"message", facts.rule->message}}));
    }
    Json one = Json::object({{"name", version}, {"served", true}, {"storage", true}});
    one["schema"]["openAPIV3Schema"] = std::move(schema);
    one["subresources"]["status"] = Json::Object{};
    if (facts.scales) {
        one["subresources"]["scale"] = Json::object({{"specReplicasPath", ".spec.replicas"},
                                                     {"statusReplicasPath", ".status.replicas"},
                                                     {"labelSelectorPath", ".status.selector"}});
    }
    for (const PrinterColumn& column : facts.columns) {
        one["additionalPrinterColumns"].push_back(column_json(column));
    }
    return one;
}

Kind make_kind(const KindFacts& facts, const KindSchemas& schemas) {
    Kind kind;
    kind.name = facts.name;
    kind.plural = facts.plural;
    kind.short_name = facts.short_name;
    kind.crd = Json::object(
        {{"apiVersion", "apiextensions.k8s.io/v1"}, {"kind", "CustomResourceDefinition"}});
    kind.crd["metadata"]["name"] = fmt::format("{}.{}", facts.plural, group);
    Json& spec = kind.crd["spec"];
    spec["group"] = group;
    spec["scope"] = "Namespaced";
    spec["names"] = names_json(facts);
    spec["versions"] = Json::array({version_json(facts, schemas)});
    for (const DescribedRule& rule : schemas.rules) {
        kind.rules.push_back({rule.cel, std::string(rule.message), rule.holds});
    }
    if (facts.rule) {
        kind.rules.push_back(
            {facts.rule->cel, std::string(facts.rule->message), facts.rule->holds});
    }
    return kind;
}

}  // namespace

const std::vector<Kind>& kinds() {
    static const std::vector<Kind> all = {make_kind(cluster_facts(), cluster_schemas()),
                                          make_kind(topic_facts(), topic_schemas()),
                                          make_kind(mirror_link_facts(), mirror_link_schemas())};
    return all;
}

std::vector<Json> crds() {
    std::vector<Json> all;
    for (const Kind& kind : kinds()) {
        all.push_back(kind.crd);
    }
    return all;
}

RuleTable rule_table() {
    RuleTable table;
    for (const Kind& kind : kinds()) {
        for (const Rule& rule : kind.rules) {
            table.emplace(rule.cel, rule.holds);
        }
    }
    return table;
}

namespace {
constexpr std::string_view origin =
    "# Written by api-manifests from operator/api: change it there.\n";
}

std::string definition_file(const Kind& kind) {
    return std::string(origin) + to_yaml(kind.crd);
}

std::string chart_template(const Kind& kind) {
    Json crd = kind.crd;
    crd["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep";
    return fmt::format(
        "{}{{{{- if include \"millrace.bringsKind\" (dict \"root\" . \"kind\" \"{}.{}\") }}}}\n"
        "{}{{{{- end }}}}\n",
        origin, kind.plural, group, to_yaml(crd));
}

}  // namespace millrace::api
