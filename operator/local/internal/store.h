// operator/local/internal/store.h
//
// Objects by (storage, namespace, name), one version counter for all, and the recent past for
// watches. Pure memory; a journal listens to its changes. Not thread-safe: the server's lock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "operator/kube/json.h"

namespace millrace::local {

using kube::Json;
using ObjectPtr = std::shared_ptr<const Json>;

struct ObjectKey {
    std::string storage;  ///< `pods`, `clusters.millrace.dev`
    std::string space;    ///< Namespace; empty for kinds without.
    std::string name;

    friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct Change {
    enum class Type { added, modified, deleted };
    std::uint64_t version = 0;
    Type type = Type::added;
    ObjectKey key;
    ObjectPtr object;  ///< As it is, or was when it was deleted.
    ObjectPtr before;  ///< Null when added.
};

class Store {
public:
    explicit Store(std::size_t history = 10000) : history_limit_(history) {}

    ObjectPtr get(const ObjectKey& key) const;
    /// Of one namespace, or of all when `space` is empty; by namespace and name.
    std::vector<ObjectPtr> list(const std::string& storage, const std::string& space) const;
    const std::map<ObjectKey, ObjectPtr>& all() const { return objects_; }

    /// Stamps the next resourceVersion on it.
    ObjectPtr put(const ObjectKey& key, Json object);
    ObjectPtr remove(const ObjectKey& key);

    std::uint64_t version() const { return version_; }

    /// What happened after `version`; nothing if that past is forgotten (410).
    std::optional<std::vector<Change>> since(std::uint64_t version) const;

    void on_change(std::function<void(const Change&)> listener) { listener_ = std::move(listener); }

    /// From a journal, before anyone listens. A null object removes.
    void restore(std::uint64_t version, const ObjectKey& key, ObjectPtr object);

private:
    void record(Change change);

    const std::size_t history_limit_;
    std::map<ObjectKey, ObjectPtr> objects_;
    std::deque<Change> history_;
    std::uint64_t version_ = 1;
    std::uint64_t forgotten_ = 1;  ///< History holds every change after this version.
    std::function<void(const Change&)> listener_;
};

}  // namespace millrace::local
