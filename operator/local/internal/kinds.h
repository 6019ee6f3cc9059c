// operator/local/internal/kinds.h
//
// Which kinds are served and under which names. Built once at start from the built-in table and the
// CRDs; read-only afterwards.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "operator/local/internal/api_error.h"
#include "operator/local/internal/schema.h"

namespace millrace::local {

struct Column {
    std::string name;
    std::string type;
    std::string description;
    std::string json_path;  ///< Of a CRD's column; built-in kinds print themselves.
    std::string format;
    int priority = 0;
};

struct Kind {
    std::string group;
    std::string version;
    std::string resource;
    std::string singular;
    std::string kind;
    std::vector<std::string> short_names;
    std::vector<std::string> categories;
    bool namespaced = true;
    bool has_status = false;
    bool custom = false;       ///< From a CRD.
    bool review_only = false;  ///< Can only be created, is never stored.
    std::string schema;        ///< Its name in the SchemaSet.
    std::string storage;       ///< `pods`; the same for two versions of one thing.
    std::vector<Column> columns;
    std::vector<std::string> selectable_fields;
    Json scale;  ///< A CRD's scale subresource: specReplicasPath, statusReplicasPath, ...

    std::string group_version() const { return group.empty() ? version : group + "/" + version; }
    Subject subject(std::string name) const { return {group, kind, resource, std::move(name)}; }
};

class KindTable {
public:
    /// Refuses a CRD that isn't one, and a rule without its predicate.
    static Result<KindTable> make(const std::vector<Json>& crds, const RuleTable& rules);

    const Kind* find(std::string_view group, std::string_view version,
                     std::string_view resource) const;
    const Kind* by_kind(std::string_view group_version, std::string_view kind) const;
    const Kind& by_storage(std::string_view storage) const;
    const std::vector<std::unique_ptr<Kind>>& all() const { return kinds_; }
    const SchemaSet& schemas() const { return schemas_; }
    const Json& schema(const Kind& kind) const { return schemas_.get(kind.schema); }

private:
    KindTable();
    Result<void> add_crd(const Json& crd, const RuleTable& rules);

    SchemaSet schemas_;
    std::vector<std::unique_ptr<Kind>> kinds_;
};

}  // namespace millrace::local
