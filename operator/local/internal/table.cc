#include "operator/local/internal/table.h"

#include <fmt/core.h>
#include <map>

#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

using Row = Json::Array;

struct Printer {
    std::vector<Column> columns;
    Row (*print)(const Json& object, Timestamp now);
};

Column column(std::string name, int priority = 0, std::string type = "string") {
    const std::string format = name == "Name" ? "name" : "";
    return {std::move(name), std::move(type), "", "", format, priority};
}

Json age_of(const Json& object, Timestamp now) {
    return age(object["metadata"]["creationTimestamp"], now);
}

Json name_of(const Json& object) {
    return object["metadata"]["name"];
}

std::string or_none(const std::string& text) {
    return text.empty() ? "<none>" : text;
}

std::string pod_state(const Json& pod) {
    std::string state = pod["status"]["reason"].text_or(pod["status"]["phase"].text());
    for (const Json& container : pod["status"]["containerStatuses"].items()) {
        const Json& now = container["state"];
        if (const std::string& why = now["waiting"]["reason"].text(); !why.empty()) {
            state = why;
        } else if (const std::string& end = now["terminated"]["reason"].text(); !end.empty()) {
            state = end;
        }
    }
    return pod["metadata"].has("deletionTimestamp") ? "Terminating" : state;
}

Row pod_row(const Json& pod, Timestamp now) {
    const Json& statuses = pod["status"]["containerStatuses"];
    std::int64_t ready = 0;
    std::int64_t restarts = 0;
    std::string last_restart;
    for (const Json& status : statuses.items()) {
        ready += status["ready"].boolean() ? 1 : 0;
        restarts += status["restartCount"].integer();
        last_restart = status["lastState"]["terminated"]["finishedAt"].text_or(last_restart);
    }
    std::string restarts_text = std::to_string(restarts);
    if (restarts > 0 && !last_restart.empty()) {
        restarts_text += fmt::format(" ({} ago)", age(last_restart, now));
    }
    return {name_of(pod),
            fmt::format("{}/{}", ready, pod["spec"]["containers"].size()),
            pod_state(pod),
            restarts_text,
            age_of(pod, now),
            or_none(pod["status"]["podIP"].text()),
            or_none(pod["spec"]["nodeName"].text()),
            "<none>",
            "<none>"};
}

std::string service_ports(const Json& service) {
    std::string text;
    for (const Json& port : service["spec"]["ports"].items()) {
        text += fmt::format("{}{}", text.empty() ? "" : ",", port["port"].integer());
        if (port["nodePort"].integer() > 0) {
            text += fmt::format(":{}", port["nodePort"].integer());
        }
        text += "/" + port["protocol"].text();
    }
    return or_none(text);
}

std::string labels_text(const Json& labels) {
    std::string text;
    for (const auto& [key, value] : labels.members()) {
        text += (text.empty() ? "" : ",") + key + "=" + value.text();
    }
    return or_none(text);
}

Row service_row(const Json& service, Timestamp now) {
    std::string external = service["status"]["loadBalancer"]["ingress"][0]["ip"].text();
    if (external.empty()) {
        external = service["spec"]["type"].text() == "LoadBalancer" ? "<pending>" : "<none>";
    }
    return {name_of(service),
            service["spec"]["type"],
            service["spec"]["clusterIP"],
            external,
            service_ports(service),
            age_of(service, now),
            labels_text(service["spec"]["selector"])};
}

std::string access_modes(const Json& modes) {
    std::string text;
    for (const Json& mode : modes.items()) {
        const std::string& name = mode.text();
        text += text.empty() ? "" : ",";
        text += name == "ReadWriteOnce"   ? "RWO"
                : name == "ReadOnlyMany"  ? "ROX"
                : name == "ReadWriteMany" ? "RWX"
                                          : "RWOP";
    }
    return text;
}

Row claim_row(const Json& claim, Timestamp now) {
    const bool going = claim["metadata"].has("deletionTimestamp");
    return {name_of(claim),
            going ? Json("Terminating") : claim["status"]["phase"],
            claim["spec"]["volumeName"].text(),
            claim["status"]["capacity"]["storage"].text(),
            access_modes(claim["status"]["accessModes"]),
            claim["spec"]["storageClassName"].text(),
            "<unset>",
            age_of(claim, now),
            claim["spec"]["volumeMode"].text()};
}

Row volume_row(const Json& volume, Timestamp now) {
    const Json& spec = volume["spec"];
    const Json& claim = spec["claimRef"];
    return {name_of(volume),
            spec["capacity"]["storage"].text(),
            access_modes(spec["accessModes"]),
            spec["persistentVolumeReclaimPolicy"].text(),
            volume["status"]["phase"].text(),
            claim.is_null() ? "" : claim["namespace"].text() + "/" + claim["name"].text(),
            spec["storageClassName"].text(),
            "<unset>",
            "",
            age_of(volume, now),
            spec["volumeMode"].text_or("Filesystem")};
}

Row config_map_row(const Json& map, Timestamp now) {
    return {name_of(map), static_cast<std::int64_t>(map["data"].size() + map["binaryData"].size()),
            age_of(map, now)};
}

Row secret_row(const Json& secret, Timestamp now) {
    return {name_of(secret), secret["type"], static_cast<std::int64_t>(secret["data"].size()),
            age_of(secret, now)};
}

Row node_row(const Json& node, Timestamp now) {
    return {name_of(node),
            node["spec"]["unschedulable"].boolean() ? "Ready,SchedulingDisabled" : "Ready",
            "<none>",
            age_of(node, now),
            node["status"]["nodeInfo"]["kubeletVersion"].text(),
            node["status"]["addresses"][0]["address"].text(),
            "<none>",
            "Millrace local mode"};
}

Row namespace_row(const Json& space, Timestamp now) {
    return {name_of(space), space["status"]["phase"], age_of(space, now)};
}

Row plain_row(const Json& object, Timestamp now) {
    return {name_of(object), age_of(object, now)};
}

Row event_row(const Json& event, Timestamp now) {
    const Json& about = event["involvedObject"];
    std::string kind = about["kind"].text();
    for (char& c : kind) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    Json last = event["lastTimestamp"];
    if (last.text().empty()) {
        last = event["series"]["lastObservedTime"].text_or(event["eventTime"].text());
    }
    const std::int64_t count = event["series"]["count"].integer(event["count"].integer(1));
    const Json first = event["firstTimestamp"].text_or(event["eventTime"].text());
    std::string seen = age(last, now);
    if (count > 1) {
        seen += fmt::format(" (x{} over {})", count, age(first, now));
    }
    return {seen,
            event["type"].text(),
            event["reason"].text(),
            kind + "/" + about["name"].text(),
            about["fieldPath"].text(),
            event["source"]["component"].text_or(event["reportingComponent"].text()),
            event["message"].text(),
            age(first, now),
            count,
            name_of(event)};
}

Row lease_row(const Json& lease, Timestamp now) {
    return {name_of(lease), lease["spec"]["holderIdentity"].text(), age_of(lease, now)};
}

Row budget_row(const Json& budget, Timestamp now) {
    const auto shown = [&](const char* name) {
        const Json& value = budget["spec"][name];
        return value.is_null() ? Json("N/A") : value.is_string() ? value : Json(value.dump());
    };
    return {name_of(budget), shown("minAvailable"), shown("maxUnavailable"),
            budget["status"]["disruptionsAllowed"].integer(), age_of(budget, now)};
}

std::string addresses_text(const Json& endpoints) {
    std::string text;
    for (const Json& subset : endpoints["subsets"].items()) {
        for (const Json& address : subset["addresses"].items()) {
            for (const Json& port : subset["ports"].items()) {
                text += fmt::format("{}{}:{}", text.empty() ? "" : ",", address["ip"].text(),
                                    port["port"].integer());
            }
        }
    }
    return or_none(text);
}

Row endpoints_row(const Json& endpoints, Timestamp now) {
    return {name_of(endpoints), addresses_text(endpoints), age_of(endpoints, now)};
}

Row slice_row(const Json& slice, Timestamp now) {
    std::string ports;
    for (const Json& port : slice["ports"].items()) {
        ports += (ports.empty() ? "" : ",") + port["port"].dump();
    }
    std::string addresses;
    for (const Json& endpoint : slice["endpoints"].items()) {
        addresses += (addresses.empty() ? "" : ",") + endpoint["addresses"][0].text();
    }
    return {name_of(slice), slice["addressType"], or_none(ports), or_none(addresses),
            age_of(slice, now)};
}

Row definition_row(const Json& definition, Timestamp) {
    return {name_of(definition), definition["metadata"]["creationTimestamp"]};
}

Row class_row(const Json& storage_class, Timestamp now) {
    return {name_of(storage_class),
            storage_class["provisioner"],
            storage_class["reclaimPolicy"],
            storage_class["volumeBindingMode"],
            storage_class["allowVolumeExpansion"],
            age_of(storage_class, now)};
}

Row account_row(const Json& account, Timestamp now) {
    return {name_of(account), static_cast<std::int64_t>(account["secrets"].size()),
            age_of(account, now)};
}

const Printer& printer_of(const std::string& storage) {
    static const std::map<std::string, Printer> printers = {
        {"pods",
         {{column("Name"), column("Ready"), column("Status"), column("Restarts"), column("Age"),
           column("IP", 1), column("Node", 1), column("Nominated Node", 1),
           column("Readiness Gates", 1)},
          pod_row}},
        {"services",
         {{column("Name"), column("Type"), column("Cluster-IP"), column("External-IP"),
           column("Port(s)"), column("Age"), column("Selector", 1)},
          service_row}},
        {"persistentvolumeclaims",
         {{column("Name"), column("Status"), column("Volume"), column("Capacity"),
           column("Access Modes"), column("StorageClass"), column("VolumeAttributesClass"),
           column("Age"), column("VolumeMode", 1)},
          claim_row}},
        {"persistentvolumes",
         {{column("Name"), column("Capacity"), column("Access Modes"), column("Reclaim Policy"),
           column("Status"), column("Claim"), column("StorageClass"),
           column("VolumeAttributesClass"), column("Reason"), column("Age"),
           column("VolumeMode", 1)},
          volume_row}},
        {"configmaps",
         {{column("Name"), column("Data", 0, "integer"), column("Age")}, config_map_row}},
        {"secrets",
         {{column("Name"), column("Type"), column("Data", 0, "integer"), column("Age")},
          secret_row}},
        {"nodes",
         {{column("Name"), column("Status"), column("Roles"), column("Age"), column("Version"),
           column("Internal-IP", 1), column("External-IP", 1), column("OS-Image", 1)},
          node_row}},
        {"namespaces", {{column("Name"), column("Status"), column("Age")}, namespace_row}},
        {"events",
         {{column("Last Seen"), column("Type"), column("Reason"), column("Object"),
           column("Subobject", 1), column("Source", 1), column("Message"), column("First Seen", 1),
           column("Count", 1, "integer"), column("Name", 1)},
          event_row}},
        {"leases", {{column("Name"), column("Holder"), column("Age")}, lease_row}},
        {"poddisruptionbudgets",
         {{column("Name"), column("Min Available"), column("Max Unavailable"),
           column("Allowed Disruptions", 0, "integer"), column("Age")},
          budget_row}},
        {"endpoints", {{column("Name"), column("Endpoints"), column("Age")}, endpoints_row}},
        {"endpointslices",
         {{column("Name"), column("AddressType"), column("Ports"), column("Endpoints"),
           column("Age")},
          slice_row}},
        {"customresourcedefinitions", {{column("Name"), column("Created At")}, definition_row}},
        {"storageclasses",
         {{column("Name"), column("Provisioner"), column("ReclaimPolicy"),
           column("VolumeBindingMode"), column("AllowVolumeExpansion", 0, "boolean"),
           column("Age")},
          class_row}},
        {"serviceaccounts",
         {{column("Name"), column("Secrets", 0, "integer"), column("Age")}, account_row}},
    };
    static const Printer plain = {{column("Name"), column("Age")}, plain_row};
    const auto found = printers.find(storage);
    return found == printers.end() ? plain : found->second;
}

Json custom_cell(const Column& column, const Json& object, Timestamp now) {
    const auto found = json_path(object, column.json_path);
    if (column.type == "date") {
        return found.empty() ? Json() : Json(age(*found.front(), now));
    }
    if (found.empty() || found.front()->is_null()) {
        return {};
    }
    if (column.type != "string") {
        return *found.front();
    }
    std::string text;
    for (const Json* value : found) {
        text += (text.empty() ? "" : ",") + (value->is_string() ? value->text() : value->dump());
    }
    return text;
}

Row custom_row(const Kind& kind, const Json& object, Timestamp now) {
    Row row;
    for (const Column& column : kind.columns) {
        row.push_back(custom_cell(column, object, now));
    }
    return row;
}

}  // namespace

Json partial_metadata(const Json& object) {
    return Json::object({{"kind", "PartialObjectMetadata"},
                         {"apiVersion", "meta.k8s.io/v1"},
                         {"metadata", object["metadata"]}});
}

Json to_table(const Kind& kind, const std::vector<Json>& objects, std::string_view include_object,
              Timestamp now, bool with_columns) {
    const Printer& printer = printer_of(kind.storage);
    Json definitions = Json::array({});
    if (with_columns) {
        for (const Column& column : kind.custom ? kind.columns : printer.columns) {
            definitions.push_back(Json::object({{"name", column.name},
                                                {"type", column.type},
                                                {"format", column.format},
                                                {"description", column.description},
                                                {"priority", column.priority}}));
        }
    }
    Json rows = Json::array({});
    for (const Json& object : objects) {
        Json row = Json::object({});
        row["cells"] = kind.custom ? custom_row(kind, object, now) : printer.print(object, now);
        if (include_object == "Object") {
            row["object"] = object;
        } else if (include_object != "None") {
            row["object"] = partial_metadata(object);
        }
        rows.push_back(std::move(row));
    }
    return Json::object({{"kind", "Table"},
                         {"apiVersion", "meta.k8s.io/v1"},
                         {"metadata", Json::object({})},
                         {"columnDefinitions", std::move(definitions)},
                         {"rows", std::move(rows)}});
}

}  // namespace millrace::local
