#include "operator/reconcile/farewell.h"

#include <array>
#include <utility>

#include "operator/planner/link_planner.h"
#include "operator/planner/topic_planner.h"
#include "operator/reconcile/parts.h"

namespace millrace::reconcile {

namespace {

using kube::Json;

constexpr int most_tries = 3;  ///< Each time somebody else was faster.

/// Its finalizers without ours; null: it has none of ours.
Json rest_of_finalizers(const Json& object, std::string_view ours) {
    Json rest = Json(Json::Array{});
    bool has_ours = false;
    for (const Json& one : object["metadata"]["finalizers"].items()) {
        if (one.text() == ours) {
            has_ours = true;
        } else {
            rest.push_back(one);
        }
    }
    return has_ours ? rest : Json();
}

Result<bool> let_go(kube::Api& api, const kube::Kind& kind, Json object, std::string_view ours) {
    const kube::ObjectKey key = kube::key_of(object);
    for (int tries = 1;; ++tries) {
        Json rest = rest_of_finalizers(object, ours);
        if (rest.is_null()) {
            return false;
        }
        Json patch = Json(Json::Object{});
        patch["metadata"]["resourceVersion"] =
            std::as_const(object)["metadata"]["resourceVersion"].text();
        patch["metadata"]["finalizers"] = std::move(rest);
        const auto written = api.merge(kind, key, patch);
        if (written) {
            return true;
        }
        if (written.error().code() == Code::not_found) {
            return false;
        }
        if (written.error().code() != Code::fenced || tries == most_tries) {
            return written.error().with_context(key.to_string());
        }
        auto fresh = api.get(kind, key);
        if (!fresh && fresh.error().code() == Code::not_found) {
            return false;
        }
        MR_TRY(object, std::move(fresh));
    }
}

}  // namespace

Result<int> leave_namespace(kube::Api& api, const std::string& space) {
    MR_TRY(const Json found, api.get(kube::namespaces, {"", space}));
    if (!found["metadata"].has("deletionTimestamp")) {
        return 0;
    }
    int count = 0;
    Result<void> first_failure;
    const std::array marks{std::pair{topics, planner::topic_finalizer},
                           std::pair{mirror_links, planner::link_finalizer}};
    for (const auto& [kind, finalizer] : marks) {
        MR_TRY(auto listed, api.list(kind, {space, ""}));
        for (Json& object : listed.items) {
            const auto done = let_go(api, kind, std::move(object), finalizer);
            if (!done && first_failure) {
                first_failure = done.error();  // The others go on: each is one less to hold it up.
            }
            count += done && *done ? 1 : 0;
        }
    }
    MR_TRY_VOID(first_failure);
    return count;
}

}  // namespace millrace::reconcile
