#include "operator/app/local_mode.h"

#include <fmt/core.h>
#include <fstream>
#include <sstream>

#include "operator/api/cluster.h"
#include "operator/api/kinds.h"
#include "operator/api/mirror_link.h"
#include "operator/api/topic.h"
#include "operator/kube/client.h"
#include "operator/kube/yaml.h"
#include "operator/local/rehearsal.h"

namespace millrace::op {

namespace {

std::filesystem::path beside_this_program(const char* name) {
    std::error_code failed;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
    return failed ? std::filesystem::path(name) : self.parent_path() / name;
}

/// The kinds that a manifest may hold, as far as the API's paths need them.
Result<kube::Kind> kind_of(const kube::Json& object) {
    const std::string& kind = object["kind"].text();
    for (const api::Kind& one : api::kinds()) {
        if (one.name == kind && object["apiVersion"].text() == api::group_version) {
            return kube::Kind{api::group_version, one.name, one.plural};
        }
    }
    for (const kube::Kind& one : {kube::config_maps, kube::secrets}) {
        if (one.kind == kind && one.api_version == object["apiVersion"].text()) {
            return one;
        }
    }
    return Error::make(Code::invalid,
                       "{} {} of {}: --manifest takes Cluster, Topic and MirrorLink of {}, "
                       "ConfigMap and Secret of v1; use kubectl for the rest",
                       kind, object["metadata"]["name"].text(),
                       object["apiVersion"].text_or("no apiVersion"), api::group_version);
}

constexpr const char* last_applied = "kubectl.kubernetes.io/last-applied-configuration";

/// As `kubectl apply` remembers what it was given: of the same file it has nothing to say later.
kube::Json remembering(kube::Json object) {
    object["metadata"]["annotations"].erase(last_applied);
    if (object["metadata"]["annotations"].is_null()) {
        object["metadata"]["annotations"] = kube::Json::Object{};
    }
    object["metadata"]["annotations"][last_applied] = object.dump() + "\n";
    return object;
}

/// What is there already was perhaps edited since: it stays as it is.
Result<kube::Json> begin_with(kube::Api& api, const kube::Kind& kind, const kube::Json& object) {
    auto stored = api.get(kind, kube::key_of(object));
    if (stored || stored.error().code() != Code::not_found) {
        return stored;
    }
    return api.apply(kind, remembering(object));
}

/// Of local mode's kubeconfig.
constexpr const char* own_space = "default";

Result<std::vector<kube::Json>> documents_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
        std::error_code no;
        return Error::make(
            Code::not_found, "{}: {}", path.string(),
            std::filesystem::exists(path, no) ? "can't be read" : "there is no such file");
    }
    auto documents = kube::parse_yaml(text.str());
    if (!documents) {
        return documents.error().with_context(path.string());
    }
    if (documents->empty()) {
        return Error::make(Code::invalid, "{}: there is no object in it", path.string());
    }
    return documents;
}

template <typename Object>
Result<void> dropped_value(const Result<Object>& parsed) {
    return parsed ? Result<void>{} : parsed.error();
}

/// What CEL can't say, our parsers do.
Result<void> parses(const kube::Json& object) {
    const std::string& kind = object["kind"].text();
    return kind == "Cluster"      ? dropped_value(api::parse_cluster(object))
           : kind == "Topic"      ? dropped_value(api::parse_topic(object))
           : kind == "MirrorLink" ? dropped_value(api::parse_mirror_link(object))
                                  : Result<void>{};
}

/// Everything that the API server and the operator would say, before either runs.
Result<void> check(const kube::Json& object) {
    if (!object.is_object() || object["kind"].text().empty()) {
        return Error(Code::invalid, "there is something in it that is no Kubernetes object");
    }
    MR_TRY(const auto kind, kind_of(object));
    (void)kind;
    MR_TRY_VOID(local::rehearse(api::crds(), api::rule_table(), {object}));
    return parses(object);
}

}  // namespace

Result<std::unique_ptr<local::LocalCluster>> start_local(const CommandLine& line, Logger log) {
    local::LocalOptions options;
    options.dir = line.local;
    options.crds = api::crds();
    for (const auto& [cel, holds] : api::rule_table()) {
        options.rules.emplace(cel, holds);
    }
    options.broker_binary =
        line.broker.empty() ? beside_this_program("millrace-broker") : line.broker;
    if (!std::filesystem::exists(options.broker_binary)) {
        return Error::make(Code::not_found, "{}: there is no broker; name one with --broker",
                           options.broker_binary.string());
    }
    options.port = line.port;
    options.log = std::move(log);
    return local::LocalCluster::start(std::move(options));
}

Result<std::vector<kube::Json>> read_manifests(const std::vector<std::filesystem::path>& files) {
    std::vector<kube::Json> objects;
    for (const auto& path : files) {
        MR_TRY(auto documents, documents_of(path));
        for (kube::Json& object : documents) {
            if (!object["metadata"].has("namespace")) {
                object["metadata"]["namespace"] = own_space;
            }
            const Result<void> fine = check(object);
            if (!fine) {
                return fine.error().with_context(path.string());
            }
            objects.push_back(std::move(object));
        }
    }
    return objects;
}

Result<std::vector<kube::Json>> apply_manifests(const std::vector<kube::Json>& objects,
                                                const std::filesystem::path& kubeconfig,
                                                Logger log) {
    MR_TRY(auto credentials, kube::from_kubeconfig(kubeconfig));
    kube::ClientOptions options;
    options.field_manager = "manifest";
    options.log = std::move(log);
    MR_TRY(const auto api, kube::connect(std::move(credentials), std::move(options)));
    std::vector<kube::Json> applied;
    for (const kube::Json& object : objects) {
        MR_TRY(const auto kind, kind_of(object));
        auto result = begin_with(*api, kind, object);
        if (!result) {
            return result.error().with_context(
                fmt::format("{} {}", object["kind"].text(), kube::key_of(object).to_string()));
        }
        applied.push_back(*std::move(result));
    }
    return applied;
}

std::string shell_quoted(const std::string& text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+:,@%=";
    if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) {
        return text;
    }
    std::string quoted = "'";
    for (const char c : text) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + "'";
}

std::string progress(const kube::Json& cluster) {
    const kube::Json& status = cluster["status"];
    const std::string& message = status["message"].text();
    return fmt::format("Cluster {}: {}, {} brokers are ready{}{}\n",
                       cluster["metadata"]["name"].text(), status["phase"].text_or("Creating"),
                       status["summary"]["ready"].text_or("no"), message.empty() ? "" : "; ",
                       message);
}

std::string greeting(const kube::Json& cluster, const std::vector<kube::Json>& applied,
                     const std::filesystem::path& kubeconfig) {
    const std::string& bootstrap = cluster["status"]["summary"]["bootstrap"].text();
    std::string topic = "hello";
    for (const kube::Json& object : applied) {
        if (object["kind"].text() == "Topic") {
            topic = object["spec"]["name"].text_or(object["metadata"]["name"].text());
            break;
        }
    }
    return fmt::format(
        "Ready: Cluster {0} with {1} brokers, bootstrap {2}\n"
        "\n"
        "  produce   echo hello | kcat -b {2} -t {3} -P\n"
        "  consume   kcat -b {2} -t {3} -C -o beginning -e\n"
        "  scale     KUBECONFIG={4} kubectl scale cluster {0} --replicas={5}\n"
        "\n"
        "Ctrl-C stops everything; the data stays.\n",
        cluster["metadata"]["name"].text(), cluster["status"]["brokers"].size(), bootstrap, topic,
        shell_quoted(kubeconfig.string()), cluster["status"]["brokers"].size() + 1);
}

}  // namespace millrace::op
