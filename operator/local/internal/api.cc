#include "operator/local/internal/api.h"

#include <algorithm>
#include <charconv>
#include <fmt/core.h>

#include "operator/kube/yaml.h"
#include "operator/local/internal/discovery.h"
#include "operator/local/internal/protobuf_body.h"
#include "operator/local/internal/table.h"

namespace millrace::local {

namespace {

std::vector<std::string> path_parts(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        if (end > 0) {
            parts.emplace_back(path.substr(0, end));
        }
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return parts;
}

Response json_response(const Json& body, int code = 200) {
    Response response;
    response.code = code;
    response.body = body.dump();
    return response;
}

Presentation presentation_of(const Request& request) {
    Presentation result;
    const std::string accept = request.header("accept");
    const std::size_t table = accept.find("as=Table");
    const std::size_t partial = accept.find("as=PartialObjectMetadata");
    result.table = table != std::string::npos && (partial == std::string::npos || table < partial);
    result.metadata_only = !result.table && partial != std::string::npos;
    if (const std::string include = request.parameter("includeObject"); !include.empty()) {
        result.include_object = include;
    }
    return result;
}

/// An object in the version that was asked for; only events have two.
Json as_kind(const Kind& kind, const Json& stored) {
    return kind.group == "events.k8s.io" ? event_to_v1(stored, kind) : stored;
}

std::optional<std::int64_t> number(const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

ApiResult<Json> parse_body(const Request& request) {
    const std::string type = request.header("content-type");
    if (type.find("protobuf") != std::string::npos) {
        auto body = parse_kubernetes_protobuf(request.body);
        return body ? ApiResult<Json>(*std::move(body))
                    : ApiError{415, "UnsupportedMediaType", body.error().message(),
                               Json::object({})};
    }
    if (type.find("cbor") != std::string::npos) {
        return ApiError{415, "UnsupportedMediaType",
                        "the body of the request was in an unknown format - accepted media types "
                        "include: application/json, application/yaml",
                        Json::object({})};
    }
    if (type.find("yaml") != std::string::npos) {
        auto documents = kube::parse_yaml(request.body);
        if (!documents || documents->size() != 1) {
            return bad_request(documents ? "one YAML document is expected"
                                         : documents.error().message());
        }
        return (*documents)[0];
    }
    auto body = Json::parse(request.body);
    if (!body) {
        return bad_request("the object provided is unrecognized: " + body.error().message());
    }
    return *std::move(body);
}

}  // namespace

Response to_response(const ApiError& error) {
    return json_response(error.to_status(), error.code);
}

std::optional<Reply> Api::document(const Request& request) const {
    const std::string& path = request.path;
    const std::string accept = request.header("accept");
    if (path == "/healthz" || path == "/readyz" || path == "/livez") {
        return Response{200, "text/plain", "ok", {}};
    }
    if (path == "/version") {
        return json_response(version_document());
    }
    if (path == "/api" || path == "/apis") {
        for (const char* version : {"v2", "v2beta1"}) {
            if (accept.find(fmt::format("v={};as=APIGroupDiscoveryList", version)) !=
                    std::string::npos ||
                accept.find(fmt::format("g=apidiscovery.k8s.io;v={};", version)) !=
                    std::string::npos) {
                Response response =
                    json_response(aggregated_discovery(kinds_, path == "/api", version));
                response.content_type = fmt::format(
                    "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList",
                    version);
                return response;
            }
        }
        return json_response(path == "/api" ? api_versions(address_) : group_list(kinds_));
    }
    if (path == "/openapi/v2") {
        Response response;
        if (accept.find("protobuf") != std::string::npos) {
            response.content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            response.body = openapi_v2_protobuf(openapi_v2(kinds_));
            return response;
        }
        return json_response(openapi_v2(kinds_));
    }
    const std::vector<std::string> parts = path_parts(path);
    if (parts.size() >= 2 && parts[0] == "openapi" && parts[1] == "v3") {
        if (parts.size() == 2) {
            return json_response(openapi_v3_index(kinds_));
        }
        const std::string version = parts.size() == 5   ? parts[3] + "/" + parts[4]
                                    : parts.size() == 4 ? parts[3]
                                                        : "";
        const auto found = openapi_v3(kinds_, version);
        return found ? json_response(*found) : to_response(page_not_found());
    }
    std::optional<Json> found;
    if (parts.size() == 2 && parts[0] == "api") {
        found = resource_list(kinds_, parts[1]);
    } else if (parts.size() == 2 && parts[0] == "apis") {
        found = group(kinds_, parts[1]);
    } else if (parts.size() == 3 && parts[0] == "apis") {
        found = resource_list(kinds_, parts[1] + "/" + parts[2]);
    } else {
        return std::nullopt;
    }
    return found ? json_response(*found) : to_response(page_not_found());
}

std::optional<Api::Target> Api::route(const Request& request) const {
    std::vector<std::string> parts = path_parts(request.path);
    if (parts.size() < 3 || (parts[0] != "api" && parts[0] != "apis")) {
        return std::nullopt;
    }
    const bool core = parts[0] == "api";
    const std::string group = core ? "" : parts[1];
    const std::string version = core ? parts[1] : parts[2];
    parts.erase(parts.begin(), parts.begin() + (core ? 2 : 3));
    Target target;
    if (parts.size() >= 3 && parts[0] == "namespaces" && parts[2] != "status") {
        target.space = parts[1];
        parts.erase(parts.begin(), parts.begin() + 2);
    }
    if (parts.empty() || parts.size() > 3) {
        return std::nullopt;
    }
    target.kind = kinds_.find(group, version, parts[0]);
    if (target.kind == nullptr || (!target.space.empty() && !target.kind->namespaced)) {
        return std::nullopt;
    }
    target.name = parts.size() > 1 ? parts[1] : "";
    target.subresource = parts.size() > 2 ? parts[2] : "";
    return target;
}

Reply Api::handle(const Request& request) {
    if (request.method == "GET") {
        if (auto reply = document(request)) {
            return *std::move(reply);
        }
    }
    const auto target = route(request);
    if (!target) {
        return to_response(page_not_found());
    }
    ApiResult<Reply> reply = dispatch(request, *target);
    return reply.has_value() ? *std::move(reply) : Reply(to_response(reply.error()));
}

ApiResult<Reply> Api::dispatch(const Request& request, const Target& target) {
    const std::string& below = target.subresource;
    const bool known = below.empty() || (below == "status" && target.kind->has_status) ||
                       (below == "scale" && target.kind->scale.is_object()) ||
                       (target.kind->storage == "pods" && (below == "log" || below == "eviction"));
    if (target.kind->storage == "pods" &&
        (below == "exec" || below == "attach" || below == "portforward")) {
        return bad_request(
            "local mode runs brokers as processes of this machine, without containers to go into: "
            "see kubectl logs, and reach a broker on its pod's address");
    }
    if (!known) {
        return page_not_found();
    }
    if (request.method == "GET") {
        return target.name.empty() ? list(request, target) : read(request, target);
    }
    if (request.method == "POST") {
        return post(request, target);
    }
    if (target.kind->namespaced && target.space.empty()) {
        return method_not_allowed();
    }
    if (request.method == "PUT" && !target.name.empty()) {
        return put(request, target);
    }
    if (request.method == "PATCH" && !target.name.empty()) {
        return patch(request, target);
    }
    if (request.method == "DELETE" && below.empty()) {
        return erase(request, target);
    }
    return method_not_allowed();
}

Response Api::shown(const Request& request, const Kind& kind, const Json& object, int code,
                    const WriteOptions* options) const {
    const Presentation presentation = presentation_of(request);
    const Json converted = as_kind(kind, object);
    Response response;
    if (presentation.table && object["kind"].text() == kind.kind) {
        response = json_response(
            to_table(kind, {object}, presentation.include_object, resources_.around().now(), true),
            code);
    } else {
        response = json_response(
            presentation.metadata_only ? partial_metadata(converted) : converted, code);
    }
    if (options != nullptr) {
        response.warnings = options->warnings;
    }
    return response;
}

ApiResult<Reply> Api::read(const Request& request, const Target& target) const {
    MR_TRY(const ObjectPtr object, resources_.get(*target.kind, target.space, target.name));
    if (target.subresource == "scale") {
        return Reply(json_response(resources_.scale_of(*target.kind, *object)));
    }
    if (target.subresource == "log") {
        LogStart log;
        log.space = target.space;
        log.pod = target.name;
        log.container = request.parameter("container");
        log.follow = request.flag("follow");
        log.previous = request.flag("previous");
        log.timestamps = request.flag("timestamps");
        log.tail_lines = number(request.parameter("tailLines")).value_or(-1);
        log.limit_bytes = number(request.parameter("limitBytes")).value_or(-1);
        return Reply(std::move(log));
    }
    if (target.subresource == "eviction") {
        return method_not_allowed();
    }
    return Reply(shown(request, *target.kind, *object, 200));
}

ApiResult<Selectors> Api::selectors(const Request& request, const Target& target) const {
    Selectors result;
    MR_TRY(result.labels, LabelSelector::parse(request.parameter("labelSelector")));
    MR_TRY(result.fields,
           FieldSelector::parse(request.parameter("fieldSelector"), target.kind->group_version(),
                                target.kind->selectable_fields));
    return result;
}

ApiResult<Reply> Api::list(const Request& request, const Target& target) const {
    if (target.kind->review_only) {
        return method_not_allowed();
    }
    MR_TRY(Selectors wanted, selectors(request, target));
    if (request.flag("watch")) {
        return start_watch(request, target, std::move(wanted));
    }
    const auto limit = number(request.parameter("limit")).value_or(0);
    const std::string after = request.parameter("continue");
    Json items = Json::array({});
    std::vector<Json> rows;
    std::string next;
    std::int64_t remaining = 0;
    for (const ObjectPtr& object : resources_.store().list(target.kind->storage, target.space)) {
        const Json& metadata = (*object)["metadata"];
        const std::string place = metadata["namespace"].text() + "/" + metadata["name"].text();
        if ((!after.empty() && place <= after) || !wanted.matches(*object)) {
            continue;
        }
        if (limit > 0 && static_cast<std::int64_t>(rows.size()) == limit) {
            ++remaining;
            continue;
        }
        rows.push_back(*object);
        next = place;
    }
    Json metadata =
        Json::object({{"resourceVersion", std::to_string(resources_.store().version())}});
    if (remaining > 0) {
        metadata["continue"] = next;
        if (wanted.labels.empty() && wanted.fields.empty()) {
            metadata["remainingItemCount"] = remaining;
        }
    }
    const Presentation presentation = presentation_of(request);
    Json body;
    if (presentation.table) {
        body = to_table(*target.kind, rows, presentation.include_object, resources_.around().now(),
                        true);
    } else {
        for (const Json& row : rows) {
            const Json object = as_kind(*target.kind, row);
            items.push_back(presentation.metadata_only ? partial_metadata(object) : object);
        }
        body = presentation.metadata_only
                   ? Json::object(
                         {{"kind", "PartialObjectMetadataList"}, {"apiVersion", "meta.k8s.io/v1"}})
                   : Json::object({{"kind", target.kind->kind + "List"},
                                   {"apiVersion", target.kind->group_version()}});
        body["items"] = std::move(items);
    }
    body["metadata"] = std::move(metadata);
    return Reply(json_response(body));
}

std::string Api::event_line(const WatchStart& watch, std::string_view type, const Json& object,
                            bool with_columns) const {
    Json shown_object = as_kind(*watch.kind, object);
    if (watch.presentation.table) {
        shown_object = to_table(*watch.kind, {object}, watch.presentation.include_object,
                                resources_.around().now(), with_columns);
        shown_object["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"];
    } else if (watch.presentation.metadata_only) {
        shown_object = partial_metadata(shown_object);
    }
    return Json::object({{"type", type}, {"object", std::move(shown_object)}}).dump() + "\n";
}

std::string Api::bookmark_line(const WatchStart& watch, bool initial_end) const {
    Json metadata =
        Json::object({{"resourceVersion", std::to_string(resources_.store().version())}});
    if (initial_end) {
        metadata["annotations"] = Json::object({{"k8s.io/initial-events-end", "true"}});
    }
    Json object = Json::object({{"kind", watch.kind->kind},
                                {"apiVersion", watch.kind->group_version()},
                                {"metadata", metadata}});
    if (watch.presentation.table) {
        object = to_table(*watch.kind, {object}, "Metadata", resources_.around().now(), false);
        object["metadata"] = metadata;
    } else if (watch.presentation.metadata_only) {
        object = partial_metadata(object);
    }
    return Json::object({{"type", "BOOKMARK"}, {"object", std::move(object)}}).dump() + "\n";
}

std::optional<std::string> Api::watch_line(const WatchStart& watch, const Change& change,
                                           bool first) const {
    if (change.key.storage != watch.kind->storage ||
        (!watch.space.empty() && change.key.space != watch.space)) {
        return std::nullopt;
    }
    const bool was = change.before && watch.selectors.matches(*change.before);
    const bool is = change.type != Change::Type::deleted && watch.selectors.matches(*change.object);
    if (!was && !is) {
        return std::nullopt;
    }
    return event_line(watch, is ? (was ? "MODIFIED" : "ADDED") : "DELETED", *change.object, first);
}

ApiResult<Reply> Api::start_watch(const Request& request, const Target& target,
                                  Selectors wanted) const {
    WatchStart watch;
    watch.kind = target.kind;
    watch.space = target.space;
    watch.selectors = std::move(wanted);
    watch.presentation = presentation_of(request);
    watch.bookmarks = request.flag("allowWatchBookmarks");
    watch.timeout_seconds = number(request.parameter("timeoutSeconds")).value_or(0);
    const std::string from = request.parameter("resourceVersion");
    const bool initial = request.flag("sendInitialEvents");
    bool first = true;
    const Store& store = resources_.store();
    if (from.empty() || from == "0" || initial) {
        for (const ObjectPtr& object : store.list(target.kind->storage, target.space)) {
            if (watch.selectors.matches(*object) &&
                request.parameter("sendInitialEvents") != "false") {
                watch.first += event_line(watch, "ADDED", *object, first);
                first = false;
            }
        }
        if (initial) {
            watch.first += bookmark_line(watch, /*initial_end=*/true);
        }
    } else {
        const auto version = number(from);
        if (!version || *version < 0) {
            return bad_request(fmt::format("invalid resource version \"{}\"", from));
        }
        const auto changes = store.since(static_cast<std::uint64_t>(*version));
        if (!changes) {
            return gone(fmt::format("too old resource version: {} ({})", from, store.version()));
        }
        for (const Change& change : *changes) {
            if (auto line = watch_line(watch, change, first)) {
                watch.first += *line;
                first = false;
            }
        }
    }
    watch.after = store.version();
    return Reply(std::move(watch));
}

ApiResult<WriteOptions> Api::write_options(const Request& request) const {
    WriteOptions options;
    options.manager = request.parameter("fieldManager");
    if (options.manager.empty()) {
        const std::string agent = request.header("user-agent");
        options.manager = agent.substr(0, agent.find('/'));
    }
    if (options.manager.empty()) {
        options.manager = "unknown";
    }
    const std::string validation = request.parameter("fieldValidation");
    if (validation == "Strict") {
        options.validation = Validation::strict;
    } else if (validation == "Ignore") {
        options.validation = Validation::ignore;
    } else if (!validation.empty() && validation != "Warn") {
        return bad_request(fmt::format("invalid fieldValidation: {}", validation));
    }
    const std::string dry_run = request.parameter("dryRun");
    if (!dry_run.empty() && dry_run != "All") {
        return bad_request(fmt::format("invalid dryRun: {}", dry_run));
    }
    options.dry_run = !dry_run.empty();
    options.force = request.flag("force");
    return options;
}

namespace {

/// Events of the newer group are kept as core events.
Json as_stored(const Kind& kind, Json body) {
    if (kind.group == "events.k8s.io") {
        body = event_from_v1(std::move(body));
        if (body.has("apiVersion")) {
            body["apiVersion"] = "v1";
        }
    }
    return body;
}

}  // namespace

ApiResult<Reply> Api::post(const Request& request, const Target& target) {
    MR_TRY(Json body, parse_body(request));
    if (target.subresource == "eviction") {
        return evict(target, body);
    }
    if (!target.name.empty()) {
        return method_not_allowed();
    }
    if (target.kind->review_only) {
        body["status"] = Json::object({{"allowed", true}});
        return Reply(json_response(body, 201));
    }
    MR_TRY(WriteOptions options, write_options(request));
    const Kind& kind = kinds_.by_storage(target.kind->storage);
    const std::string space =
        target.space.empty() ? body["metadata"]["namespace"].text_or("default") : target.space;
    MR_TRY(const Json made,
           resources_.create(kind, space, as_stored(*target.kind, std::move(body)), options));
    return Reply(shown(request, *target.kind, made, 201, &options));
}

ApiResult<Reply> Api::put(const Request& request, const Target& target) {
    MR_TRY(Json body, parse_body(request));
    MR_TRY(WriteOptions options, write_options(request));
    if (target.subresource == "scale") {
        MR_TRY(const Json scale,
               resources_.update_scale(*target.kind, target.space, target.name, body, options));
        return Reply(json_response(scale));
    }
    options.subresource = target.subresource;
    const Kind& kind = kinds_.by_storage(target.kind->storage);
    MR_TRY(const Json stored, resources_.update(kind, target.space, target.name,
                                                as_stored(*target.kind, std::move(body)), options));
    return Reply(shown(request, *target.kind, stored, 200, &options));
}

ApiResult<Reply> Api::patch(const Request& request, const Target& target) {
    MR_TRY(Json body, parse_body(request));
    MR_TRY(WriteOptions options, write_options(request));
    const std::string content = request.header("content-type");
    const std::string media = content.substr(0, content.find(';'));
    PatchType type{};
    if (media == "application/json-patch+json") {
        type = PatchType::json;
    } else if (media == "application/merge-patch+json") {
        type = PatchType::merge;
    } else if (media == "application/apply-patch+yaml") {
        type = PatchType::apply;
        if (request.parameter("fieldManager").empty()) {
            return bad_request("fieldManager is required for apply patch");
        }
    } else if (media == "application/strategic-merge-patch+json" && !target.kind->custom) {
        type = PatchType::strategic;
    } else {
        return ApiError{415, "UnsupportedMediaType",
                        "the body of the request was in an unknown format - accepted media types "
                        "include: application/json-patch+json, application/merge-patch+json, "
                        "application/apply-patch+yaml",
                        Json::object({})};
    }
    if (target.subresource == "scale") {
        MR_TRY(const ObjectPtr live, resources_.get(*target.kind, target.space, target.name));
        Json scale = resources_.scale_of(*target.kind, *live);
        scale["metadata"].erase("resourceVersion");
        for (const auto& [name, value] : body["spec"].members()) {
            scale["spec"][name] = value;
        }
        MR_TRY(const Json stored,
               resources_.update_scale(*target.kind, target.space, target.name, scale, options));
        return Reply(json_response(stored));
    }
    options.subresource = target.subresource;
    const Kind& kind = kinds_.by_storage(target.kind->storage);
    MR_TRY(const Json stored, resources_.patch(kind, target.space, target.name, type,
                                               as_stored(*target.kind, std::move(body)), options));
    return Reply(shown(request, *target.kind, stored, options.created ? 201 : 200, &options));
}

ApiResult<Reply> Api::erase(const Request& request, const Target& target) {
    Json options = Json::object({});
    if (!request.body.empty()) {
        MR_TRY(options, parse_body(request));
    }
    for (const char* name : {"propagationPolicy", "gracePeriodSeconds"}) {
        if (const std::string value = request.parameter(name); !value.empty()) {
            options[name] = number(value) ? Json(*number(value)) : Json(value);
        }
    }
    const bool dry_run = !request.parameter("dryRun").empty() || !options["dryRun"].empty();
    const Kind& kind = kinds_.by_storage(target.kind->storage);
    if (!target.name.empty()) {
        MR_TRY(const Json gone_object,
               resources_.erase(kind, target.space, target.name, options, dry_run));
        return Reply(json_response(as_kind(*target.kind, gone_object)));
    }
    MR_TRY(const Selectors wanted, selectors(request, target));
    Json items = Json::array({});
    for (const ObjectPtr& object : resources_.store().list(kind.storage, target.space)) {
        if (wanted.matches(*object)) {
            MR_TRY_VOID(resources_.erase(kind, target.space, (*object)["metadata"]["name"].text(),
                                         options, dry_run));
            items.push_back(as_kind(*target.kind, *object));
        }
    }
    return Reply(json_response(Json::object({{"kind", kind.kind + "List"},
                                             {"apiVersion", target.kind->group_version()},
                                             {"metadata", Json::object({})},
                                             {"items", std::move(items)}})));
}

ApiResult<Reply> Api::evict(const Target& target, const Json& body) {
    MR_TRY(const ObjectPtr pod, resources_.get(*target.kind, target.space, target.name));
    for (const ObjectPtr& budget : resources_.store().list("poddisruptionbudgets", target.space)) {
        const auto selector = LabelSelector::from_object((*budget)["spec"]["selector"]);
        if (selector.matches((*pod)["metadata"]["labels"]) &&
            (*budget)["status"]["disruptionsAllowed"].integer() < 1) {
            return ApiError{
                429, "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                Json::object(
                    {{"causes",
                      Json::array({Json::object(
                          {{"reason", "DisruptionBudget"},
                           {"message", fmt::format("The disruption budget {} needs more "
                                                   "healthy pods",
                                                   (*budget)["metadata"]["name"].text())}})})}})};
        }
    }
    MR_TRY_VOID(
        resources_.erase(*target.kind, target.space, target.name, body["deleteOptions"], false));
    return Reply(json_response(
        Json::object({{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Success"}}), 201));
}

}  // namespace millrace::local
