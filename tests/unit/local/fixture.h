// A core API over an empty store with one namespace, a clock that stands still and the Cluster
// kind.
#pragma once

#include <gtest/gtest.h>
#include <string>

#include "operator/kube/yaml.h"
#include "operator/local/internal/api.h"
#include "operator/local/internal/controllers.h"
#include "operator/local/internal/pki.h"

namespace millrace::local {

inline Json yaml(std::string_view text) {
    auto documents = kube::parse_yaml(text);
    return documents && !documents->empty() ? (*documents)[0] : Json();
}

class LocalApi : public testing::Test {
protected:
    LocalApi()
        : crd(yaml(*read_file(MILLRACE_SOURCE_DIR "/tests/local/crds/clusters.yaml"))),
          kinds(*KindTable::make({crd}, rules)),
          resources(kinds, store, rules,
                    {[this] { return now; }, [this] { return "uid-" + std::to_string(++uids); },
                     [] { return "abcde"; }, "127.81"}),
          api(resources, "127.0.0.1:1") {
        make_foundation(resources, {"a", "b", "c"}, {crd});
    }

    const Kind& kind(std::string_view storage) { return kinds.by_storage(storage); }
    const Kind& cluster() { return kind("clusters.millrace.dev"); }

    ApiResult<Json> create(std::string_view storage, std::string_view text) {
        WriteOptions options;
        options.manager = "tester";
        options.validation = Validation::strict;
        return resources.create(kind(storage), "default", yaml(text), options);
    }
    ApiResult<Json> patch(std::string_view storage, const std::string& name, PatchType type,
                          std::string_view text, std::string manager = "tester",
                          bool force = false) {
        WriteOptions options;
        options.manager = std::move(manager);
        options.validation = Validation::strict;
        options.force = force;
        return resources.patch(kind(storage), "default", name, type, yaml(text), options);
    }
    ApiResult<Json> erase(std::string_view storage, const std::string& name,
                          const Json& options = Json::object({})) {
        return resources.erase(kind(storage), "default", name, options, false);
    }
    Json get(std::string storage, const std::string& name) {
        const ObjectPtr object = store.get({std::move(storage), "default", name});
        return object ? *object : Json();
    }
    Response call(std::string method, std::string_view target, std::string body = "",
                  std::string type = "application/json") {
        Request request = make_request(std::move(method), target);
        request.body = std::move(body);
        request.headers["content-type"] = std::move(type);
        return std::get<Response>(api.handle(request));
    }

    Timestamp now{1'800'000'000'000};
    int uids = 0;
    RuleTable rules;
    Json crd;
    Store store;
    KindTable kinds;
    Resources resources;
    Api api;
};

}  // namespace millrace::local
