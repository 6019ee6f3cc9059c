#include "operator/local/local_cluster.h"

#include <algorithm>

#include "operator/kube/yaml.h"
#include "operator/local/internal/pki.h"
#include "operator/local/internal/runner.h"
#include "operator/local/internal/server.h"
#include "operator/local/internal/service_proxy.h"

namespace millrace::local {

namespace {

Result<std::vector<kube::Json>> read_crds(const std::filesystem::path& dir) {
    std::vector<kube::Json> crds;
    std::vector<std::filesystem::path> files;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(dir, failed)) {
        if (entry.path().extension() == ".yaml") {
            files.push_back(entry.path());
        }
    }
    if (failed) {
        return Error::make(Code::not_found, "{}: {}", dir.string(), failed.message());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        MR_TRY(const std::string text, read_file(file));
        MR_TRY(std::vector<kube::Json> documents, kube::parse_yaml(text));
        for (kube::Json& document : documents) {
            crds.push_back(std::move(document));
        }
    }
    return crds;
}

class Cluster final : public LocalCluster {
public:
    Cluster(std::unique_ptr<Server> server, Runner::Options runner)
        : server_(std::move(server)),
          proxy_(ServiceProxy::start(*server_, runner.log)),
          runner_(Runner::start(*server_, std::move(runner))) {}

    ~Cluster() override { stop(std::chrono::milliseconds(0)); }

    std::filesystem::path kubeconfig() const override { return server_->kubeconfig(); }
    std::string url() const override { return server_->url(); }

    void stop(std::chrono::milliseconds at_most) override {
        runner_->stop(at_most);
        proxy_->stop();
        server_->stop();
    }

private:
    std::unique_ptr<Server> server_;
    std::unique_ptr<ServiceProxy> proxy_;
    std::unique_ptr<Runner> runner_;
};

}  // namespace

Result<std::unique_ptr<LocalCluster>> LocalCluster::start(LocalOptions options) {
    std::vector<kube::Json> crds = std::move(options.crds);
    if (!options.crds_dir.empty()) {
        MR_TRY(std::vector<kube::Json> more, read_crds(options.crds_dir));
        crds.insert(crds.end(), more.begin(), more.end());
    }
    // Absolute, because processes run in directories of their own.
    const std::filesystem::path dir = std::filesystem::absolute(options.dir);
    const std::filesystem::path program = options.broker_binary.empty()
                                              ? std::filesystem::path{}
                                              : std::filesystem::absolute(options.broker_binary);
    MR_TRY(auto server, Server::start({dir, options.port, std::move(crds), std::move(options.rules),
                                       options.zones, options.log}));
    return std::unique_ptr<LocalCluster>(
        std::make_unique<Cluster>(std::move(server), Runner::Options{dir, program, options.log}));
}

}  // namespace millrace::local
