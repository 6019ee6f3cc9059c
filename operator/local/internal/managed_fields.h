// operator/local/internal/managed_fields.h
//
// Who owns which field: the bookkeeping behind server-side apply. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/local/internal/api_error.h"
#include "operator/local/internal/schema.h"

namespace millrace::local {

/// One step of a path as `fieldsV1` spells it: `f:spec`, `k:{"name":"a"}`, `v:"x"`.
using FieldPath = std::vector<std::string>;
using FieldSet = std::set<FieldPath>;

/// The fields that `value` speaks about, without those the server keeps (names, versions, ...).
FieldSet fields_of(const SchemaSet& schemas, const Json& schema, const Json& value);

FieldSet parse_fields(const Json& fields_v1);
Json print_fields(const FieldSet& fields);
std::string to_string(const FieldPath& path);  ///< `.spec.containers[name="a"].image`

struct Writer {
    std::string manager;
    std::string api_version;
    std::string subresource;
    std::string time;
};

/// After a create, update or patch: `writer` owns what it changed, nobody owns what is gone.
void note_update(const SchemaSet& schemas, const Json& schema, const Json& before, Json& after,
                 const Writer& writer);

/// Server-side apply of `applied` onto `live` (null: create). Conflicts are 409 unless forced.
ApiResult<Json> server_side_apply(const SchemaSet& schemas, const Json& schema, const Json& live,
                                  const Json& applied, const Writer& writer, bool force);

}  // namespace millrace::local
