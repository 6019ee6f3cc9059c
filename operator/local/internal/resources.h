// operator/local/internal/resources.h
//
// The life of objects: create, update, patch, delete with everything that the API promises about
// them (defaults, validation, versions, owners of fields, finalizers, grace periods). Pure over
// the Store; the caller holds the server's lock.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "operator/local/internal/api_error.h"
#include "operator/local/internal/kinds.h"
#include "operator/local/internal/store.h"

namespace millrace::local {

/// What the core can't know by itself.
struct Surroundings {
    std::function<Timestamp()> now;
    std::function<std::string()> new_uid;
    std::function<std::string()> name_suffix;  ///< For generateName.
    /// First two bytes of every address that pods and services get: "127.81".
    std::string address_prefix = "127.81";
    /// Whether these ports of an address are free now.
    std::function<bool(const std::string& address, const std::vector<int>& ports)> can_listen =
        [](const std::string&, const std::vector<int>&) { return true; };
};

enum class Validation { ignore, warn, strict };

struct WriteOptions {
    std::string manager = "unknown";
    Validation validation = Validation::warn;
    bool dry_run = false;
    bool force = false;
    std::string subresource;            ///< Empty, or "status".
    std::vector<std::string> warnings;  ///< Filled in.
    bool created = false;               ///< Filled in: an apply made the object.
};

enum class PatchType { json, merge, strategic, apply };

class Resources {
public:
    Resources(const KindTable& kinds, Store& store, const RuleTable& rules,
              Surroundings surroundings)
        : kinds_(kinds), store_(store), rules_(rules), around_(std::move(surroundings)) {}

    static ObjectKey key(const Kind& kind, const std::string& space, const std::string& name) {
        return {kind.storage, kind.namespaced ? space : "", name};
    }

    ApiResult<ObjectPtr> get(const Kind& kind, const std::string& space,
                             const std::string& name) const;
    ApiResult<Json> create(const Kind& kind, const std::string& space, Json object,
                           WriteOptions& options);
    ApiResult<Json> update(const Kind& kind, const std::string& space, const std::string& name,
                           Json object, WriteOptions& options);
    ApiResult<Json> patch(const Kind& kind, const std::string& space, const std::string& name,
                          PatchType type, const Json& patch, WriteOptions& options);
    /// `options` is a DeleteOptions object. Answers the object, or a Status when it is gone.
    ApiResult<Json> erase(const Kind& kind, const std::string& space, const std::string& name,
                          const Json& options, bool dry_run);

    Json scale_of(const Kind& kind, const Json& object) const;
    ApiResult<Json> update_scale(const Kind& kind, const std::string& space,
                                 const std::string& name, const Json& scale, WriteOptions& options);

    /// For our own controllers: writes if anything but the version differs.
    void write(const ObjectKey& key, Json object);
    /// Ends an object whose finalizers are gone.
    void remove(const ObjectKey& key) { store_.remove(key); }

    const KindTable& kinds() const { return kinds_; }
    Store& store() { return store_; }
    const Surroundings& around() const { return around_; }

private:
    ApiResult<void> decode(const Kind& kind, Json& object, WriteOptions& options) const;
    ApiResult<void> judge(const Kind& kind, const Json& object, const Json* before) const;
    ApiResult<Json> commit(const Kind& kind, const ObjectPtr& live, Json next,
                           WriteOptions& options, bool fields_noted);
    ApiResult<Json> apply(const Kind& kind, const std::string& space, const std::string& name,
                          const ObjectPtr& live, Json applied, WriteOptions& options);
    ApiResult<Json> store_new(const Kind& kind, const std::string& space, Json object,
                              WriteOptions& options, bool fields_noted);
    ApiResult<void> name_it(const Kind& kind, const std::string& space, Json& object) const;
    ApiResult<void> check_envelope(const Kind& kind, const std::string& space,
                                   const std::string& name, const Json& object) const;
    std::string now_text() const;

    const KindTable& kinds_;
    Store& store_;
    const RuleTable& rules_;
    Surroundings around_;
};

/// Fills in what Kubernetes fills in for its own kinds, on create (`before` null) and update.
void complete_builtin(const Kind& kind, Json& object, const Json* before, const Store& store,
                      const Surroundings& around);
/// What Kubernetes forbids for its own kinds beyond their types.
std::vector<FieldError> judge_builtin(const Kind& kind, const Json& object, const Json* before);

/// An event is stored as v1; these speak events.k8s.io/v1.
Json event_to_v1(const Json& stored, const Kind& kind);
Json event_from_v1(Json object);

}  // namespace millrace::local
