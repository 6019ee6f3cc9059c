#include "operator/local/internal/pod_plan.h"

#include <algorithm>
#include <array>
#include <fmt/core.h>
#include <optional>

#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

bool is_path_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/// A key of a volume is a file name, never a way out of its directory.
bool is_safe_relative(const std::filesystem::path& path) {
    return path.is_relative() &&
           std::none_of(path.begin(), path.end(), [](const auto& part) { return part == ".."; });
}

class Planner {
public:
    Planner(const Store& store, const Json& pod, const Json& container,
            const std::filesystem::path& dir)
        : store_(store),
          pod_(pod),
          container_(container),
          dir_(dir),
          space_(pod["metadata"]["namespace"].text()),
          pod_dir_(dir / "pods" / pod["metadata"]["uid"].text()) {}

    LaunchPlan plan(const std::filesystem::path& program) {
        refuse_what_we_are_not();
        check_program(program);
        plan_volumes();
        plan_environment();
        plan_arguments();
        return std::move(plan_);
    }

private:
    void wait(std::string reason, std::string message) {
        if (plan_.waiting_reason.empty()) {
            plan_.waiting_reason = std::move(reason);
            plan_.waiting_message = std::move(message);
        }
    }

    void refuse_what_we_are_not() {
        bool owned = false;
        for (const Json& owner : pod_["metadata"]["ownerReferences"].items()) {
            if (!owner["controller"].boolean() || owner["kind"].text() != "Cluster" ||
                !owner["apiVersion"].text().starts_with("millrace.dev/")) {
                continue;
            }
            const ObjectPtr cluster =
                store_.get({"clusters.millrace.dev", space_, owner["name"].text()});
            owned = owned || (cluster && (*cluster)["metadata"]["uid"] == owner["uid"]);
        }
        if (!owned) {
            wait("CreateContainerError",
                 "local mode runs pods of a Millrace Cluster only: this one has no such owner");
        }
        if (!pod_["spec"]["initContainers"].empty()) {
            wait("CreateContainerError", "local mode has no init containers");
        }
        for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
            if (container_[probe].has("exec") || container_[probe].has("grpc")) {
                wait("CreateContainerError",
                     fmt::format("{}: local mode offers httpGet and tcpSocket", probe));
            }
        }
    }

    void check_program(const std::filesystem::path& program) {
        const std::string& wanted = container_["command"][0].text();
        if (program.empty()) {
            wait("ErrImagePull", "local mode was started without a broker program");
        } else if (!wanted.empty() &&
                   std::filesystem::path(wanted).filename() != program.filename()) {
            wait("CreateContainerError",
                 fmt::format("local mode starts {} and no other program; the command is {}",
                             program.filename().string(), wanted));
        }
    }

    const Json* volume(const std::string& name) const {
        for (const Json& candidate : pod_["spec"]["volumes"].items()) {
            if (candidate["name"].text() == name) {
                return &candidate;
            }
        }
        return nullptr;
    }

    void plan_volumes() {
        std::vector<std::pair<const Json*, std::filesystem::path>> sources;
        for (const Json& mount : container_["volumeMounts"].items()) {
            const Json* source = volume(mount["name"].text());
            if (source == nullptr) {
                wait("CreateContainerConfigError",
                     fmt::format("volume {} is not declared", mount["name"].text()));
                continue;
            }
            std::filesystem::path place = place_of(*source);
            sources.emplace_back(source, place);
            if (const std::string& below = mount["subPath"].text(); !below.empty()) {
                if (!is_safe_relative(below)) {
                    wait("CreateContainerConfigError", "subPath leaves its volume");
                }
                place /= below;
            }
            mounts_.emplace_back(mount["mountPath"].text(), place.string());
        }
        // The longest path first, so that a mount inside another one wins.
        std::sort(mounts_.begin(), mounts_.end(),
                  [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
        for (const auto& [source, place] : sources) {
            plan_.directories.push_back(place);
            plan_files(*source, place);
        }
    }

    std::filesystem::path place_of(const Json& source) {
        const std::string& claim_name = source["persistentVolumeClaim"]["claimName"].text();
        if (claim_name.empty()) {
            return pod_dir_ / "volumes" / source["name"].text();
        }
        const ObjectPtr claim = store_.get({"persistentvolumeclaims", space_, claim_name});
        if (!claim || (*claim)["spec"]["volumeName"].text().empty()) {
            wait("ContainerCreating", fmt::format("claim {} is not bound", claim_name));
            return pod_dir_ / "volumes" / source["name"].text();
        }
        return dir_ / "volumes" / (*claim)["spec"]["volumeName"].text();
    }

    void plan_files(const Json& source, const std::filesystem::path& place) {
        if (source.has("configMap")) {
            add_files("configmaps", source["configMap"]["name"].text(), source["configMap"], place);
        } else if (source.has("secret")) {
            const Json& secret = source["secret"];
            add_files("secrets", secret["secretName"].text(), secret, place);
        }
        for (const Json& part : source["projected"]["sources"].items()) {
            if (part.has("configMap")) {
                add_files("configmaps", part["configMap"]["name"].text(), part["configMap"], place);
            } else if (part.has("secret")) {
                add_files("secrets", part["secret"]["name"].text(), part["secret"], place);
            }
        }
    }

    ObjectPtr source_object(const std::string& storage, const std::string& name, bool optional) {
        ObjectPtr object = store_.get({storage, space_, name});
        if (!object && !optional) {
            wait("ContainerCreating",
                 fmt::format("{} \"{}\" not found", storage == "secrets" ? "secret" : "configmap",
                             name));
        }
        return object;
    }

    void add_files(const std::string& storage, const std::string& name, const Json& source,
                   const std::filesystem::path& place) {
        const ObjectPtr object = source_object(storage, name, source["optional"].boolean());
        if (!object) {
            return;
        }
        const bool secret = storage == "secrets";
        std::map<std::string, std::string> chosen;  // Path below the volume by key.
        for (const Json& item : source["items"].items()) {
            chosen[item["key"].text()] = item["path"].text();
        }
        const auto add = [&](const std::string& key, std::string text, bool rewrite) {
            const std::string path = chosen.empty() ? key : chosen[key];
            if (path.empty() || !is_safe_relative(path)) {
                return;
            }
            plan_.files.push_back(
                {place / path, rewrite ? rewritten(text) : std::move(text), secret});
        };
        for (const auto& [key, value] : (*object)["data"].members()) {
            add(key, secret ? from_base64(value.text()) : value.text(), !secret);
        }
        for (const auto& [key, value] : (*object)["binaryData"].members()) {
            add(key, from_base64(value.text()), false);
        }
    }

    /// Every mount path in the text becomes its directory.
    std::string rewritten(const std::string& text) const {
        std::string out;
        for (std::size_t at = 0; at < text.size();) {
            const bool may_begin = at == 0 || !(is_path_char(text[at - 1]) || text[at - 1] == '/');
            const auto mount =
                std::find_if(mounts_.begin(), mounts_.end(), [&](const auto& candidate) {
                    const std::size_t end = at + candidate.first.size();
                    return may_begin && !candidate.first.empty() &&
                           text.compare(at, candidate.first.size(), candidate.first) == 0 &&
                           (end == text.size() || !is_path_char(text[end]));
                });
            if (mount == mounts_.end()) {
                out += text[at++];
            } else {
                out += mount->second;
                at += mount->first.size();
            }
        }
        return out;
    }

    std::string field(const std::string& path) const {
        for (const char* map : {"labels", "annotations"}) {
            const std::string head = fmt::format("metadata.{}['", map);
            if (path.starts_with(head) && path.ends_with("']")) {
                return pod_["metadata"][map]
                           [path.substr(head.size(), path.size() - head.size() - 2)]
                               .text();
            }
        }
        if (path == "status.podIPs") {
            return pod_["status"]["podIP"].text();
        }
        const auto found = json_path(pod_, "." + path);
        return found.empty() ? "" : found.front()->text();
    }

    std::string key_value(const std::string& storage, const Json& reference) {
        const ObjectPtr object =
            source_object(storage, reference["name"].text(), reference["optional"].boolean());
        const Json* value = object ? (*object)["data"].find(reference["key"].text()) : nullptr;
        if (value == nullptr) {
            if (object && !reference["optional"].boolean()) {
                wait("CreateContainerConfigError",
                     fmt::format("couldn't find key {} in {}", reference["key"].text(),
                                 reference["name"].text()));
            }
            return "";
        }
        return storage == "secrets" ? from_base64(value->text()) : value->text();
    }

    void plan_environment() {
        plan_.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
        plan_.environment["HOME"] = pod_dir_.string();
        plan_.environment["HOSTNAME"] = pod_["metadata"]["name"].text();
        plan_.directories.push_back(pod_dir_);
        for (const Json& variable : container_["env"].items()) {
            const Json& from = variable["valueFrom"];
            std::string value = variable["value"].text();
            if (from.has("fieldRef")) {
                value = field(from["fieldRef"]["fieldPath"].text());
            } else if (from.has("configMapKeyRef")) {
                value = key_value("configmaps", from["configMapKeyRef"]);
            } else if (from.has("secretKeyRef")) {
                value = key_value("secrets", from["secretKeyRef"]);
            } else if (from.has("resourceFieldRef")) {
                const auto found = json_path(container_["resources"],
                                             "." + from["resourceFieldRef"]["resource"].text());
                const auto number = found.empty() ? std::nullopt : parse_quantity(*found.front());
                value = number ? std::to_string(static_cast<std::int64_t>(*number)) : "0";
            } else {
                value = rewritten(expanded(value));
            }
            plan_.environment[variable["name"].text()] = value;
        }
    }

    /// `$(NAME)` of a variable that is known; `$$(NAME)` is kept as text.
    std::string expanded(const std::string& text) const {
        std::string out;
        for (std::size_t at = 0; at < text.size(); ++at) {
            const std::size_t end = text.find(')', at);
            if (text.compare(at, 2, "$$") == 0) {
                out += '$';
                ++at;
            } else if (text.compare(at, 2, "$(") == 0 && end != std::string::npos) {
                const auto known = plan_.environment.find(text.substr(at + 2, end - at - 2));
                out += known == plan_.environment.end() ? text.substr(at, end - at + 1)
                                                        : known->second;
                at = end;
            } else {
                out += text[at];
            }
        }
        return out;
    }

    void plan_arguments() {
        for (std::size_t i = 1; i < container_["command"].size(); ++i) {
            plan_.arguments.push_back(rewritten(expanded(container_["command"][i].text())));
        }
        for (const Json& argument : container_["args"].items()) {
            plan_.arguments.push_back(rewritten(expanded(argument.text())));
        }
    }

    const Store& store_;
    const Json& pod_;
    const Json& container_;
    const std::filesystem::path& dir_;
    const std::string space_;
    const std::filesystem::path pod_dir_;
    std::vector<std::pair<std::string, std::string>> mounts_;  ///< Path inside, path outside.
    LaunchPlan plan_;
};

}  // namespace

LaunchPlan plan_container(const Store& store, const Json& pod, const Json& container,
                          const std::filesystem::path& dir, const std::filesystem::path& program) {
    return Planner(store, pod, container, dir).plan(program);
}

}  // namespace millrace::local
