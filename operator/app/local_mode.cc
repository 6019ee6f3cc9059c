#include "operator/app/local_mode.h"

#include <fmt/core.h>
#include <fstream>
#include <sstream>

#include "operator/api/kinds.h"
#include "operator/kube/client.h"
#include "operator/kube/yaml.h"

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
        if (one.kind == kind) {
            return one;
        }
    }
    return Error::make(Code::invalid,
                       "{} {}: --manifest takes Cluster, Topic, MirrorLink, ConfigMap and Secret; "
                       "use kubectl for the rest",
                       kind, object["metadata"]["name"].text());
}

/// What is there already was perhaps edited since: it stays as it is.
Result<kube::Json> begin_with(kube::Api& api, const kube::Kind& kind, const kube::Json& object) {
    auto stored = api.get(kind, kube::key_of(object));
    if (stored || stored.error().code() != Code::not_found) {
        return stored;
    }
    return api.apply(kind, object);
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

Result<std::vector<kube::Json>> apply_manifests(const std::vector<std::filesystem::path>& files,
                                                const std::filesystem::path& kubeconfig,
                                                Logger log) {
    MR_TRY(auto credentials, kube::from_kubeconfig(kubeconfig));
    const std::string space = credentials.space.empty() ? "default" : credentials.space;
    kube::ClientOptions options;
    options.field_manager = "manifest";
    options.log = std::move(log);
    MR_TRY(const auto api, kube::connect(std::move(credentials), std::move(options)));
    std::vector<kube::Json> applied;
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        if (!file) {
            return Error::make(Code::not_found, "{}: can't be read", path.string());
        }
        std::ostringstream text;
        text << file.rdbuf();
        const auto documents = kube::parse_yaml(text.str());
        if (!documents) {
            return documents.error().with_context(path.string());
        }
        for (kube::Json object : *documents) {
            if (!object["metadata"].has("namespace")) {
                object["metadata"]["namespace"] = space;
            }
            MR_TRY(const auto kind, kind_of(object));
            auto result = begin_with(*api, kind, object);
            if (!result) {
                return result.error().with_context(path.string());
            }
            applied.push_back(*std::move(result));
        }
    }
    return applied;
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
        kubeconfig.string(), cluster["status"]["brokers"].size() + 1);
}

}  // namespace millrace::op
