// operator/local/internal/schema.h
//
// OpenAPI v3 schemas as Kubernetes uses them: resolve, validate, default, prune. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "operator/kube/json.h"
#include "operator/local/local_cluster.h"

namespace millrace::local {

using kube::Json;

/// One thing that is wrong with a field, in the words of the API ("Invalid value: 0: spec....").
struct FieldError {
    std::string reason;  ///< FieldValueInvalid, FieldValueRequired, FieldValueNotSupported, ...
    std::string field;
    std::string message;

    std::string to_string() const { return field + ": " + message; }
};

/// Named schemas, as in `components.schemas`.
class SchemaSet {
public:
    explicit SchemaSet(std::string_view builtin_table);

    void add(std::string name, Json schema) { named_.insert_or_assign(std::move(name), schema); }
    const std::map<std::string, Json, std::less<>>& named() const { return named_; }
    const Json& get(std::string_view name) const;

    /// What a `$ref` points to, else `schema` itself.
    const Json& resolve(const Json& schema) const;
    /// The schema of an object's field, of a map's value or of a list's item; null if not declared.
    const Json& field(const Json& schema, std::string_view name) const;
    const Json& item(const Json& schema) const;

private:
    std::map<std::string, Json, std::less<>> named_;
};

/// `io.millrace.local.v1.Pod` style name of a table's type.
std::string schema_name(std::string_view type);

bool keeps_unknown_fields(const Json& schema);
std::vector<std::string> list_map_keys(const Json& schema);  ///< Empty unless a list of type map.
bool is_atomic(const Json& schema);

/// Fills in `default`s, also in nested objects that are there.
void apply_defaults(const SchemaSet& schemas, const Json& schema, Json& value);

/// Removes what the schema doesn't declare and names it: `spec.foo`.
std::vector<std::string> prune(const SchemaSet& schemas, const Json& schema, Json& value);

/// Everything the schema forbids, rules included; `old_value` null on create.
std::vector<FieldError> validate(const SchemaSet& schemas, const Json& schema, const Json& value,
                                 const Json* old_value, const RuleTable& rules);

/// The rules that a schema contains, for the check that each has a predicate.
std::vector<std::string> rules_of(const Json& schema);

}  // namespace millrace::local
