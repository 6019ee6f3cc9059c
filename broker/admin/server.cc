#include "admin/server.h"

#include <charconv>
#include <dlfcn.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "admin/internal/serve.h"
#include "admin/internal/service.h"
#include "config/listeners.h"

namespace millrace::admin {

namespace {

Result<void> check(const ServerOptions& options) {
    const TlsFiles& tls = options.tls;
    const bool complete = !tls.certificate.empty() && !tls.key.empty() && !tls.client_ca.empty();
    if (tls.given() && !complete) {
        return Error(Code::invalid,
                     "millrace.admin.tls.certificate, millrace.admin.tls.key and "
                     "millrace.admin.tls.client.ca belong together; one is missing");
    }
    if (!config::is_loopback(options.host) && !complete) {
        return Error::make(Code::invalid,
                           "millrace.admin.listener: others can reach {}; set "
                           "millrace.admin.tls.certificate, millrace.admin.tls.key and "
                           "millrace.admin.tls.client.ca, or listen on 127.0.0.1",
                           options.host.empty() ? "every interface" : options.host);
    }
    return {};
}

/// Certificates are read anew within seconds of a change, without a restart: sooner than a client
/// that comes with the next one gives up.
std::shared_ptr<grpc::ServerCredentials> credentials_for(const TlsFiles& tls) {
    if (!tls.given()) {
        return grpc::InsecureServerCredentials();
    }
    constexpr unsigned seconds_between_looks = 2;
    grpc::experimental::TlsServerCredentialsOptions options{
        std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
            tls.key, tls.certificate, tls.client_ca, seconds_between_looks)};
    options.watch_root_certs();
    options.watch_identity_key_cert_pairs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    return grpc::experimental::TlsServerCredentials(options);
}

/// The library turns reflection on for every server of a process that is linked with it, so it is
/// loaded only where it is asked for.
Result<void> load_reflection() {
    for (const char* name : {"libgrpc++_reflection.so.1.51", "libgrpc++_reflection.so"}) {
        if (::dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nullptr) {
            return {};
        }
    }
    return Error::make(Code::unsupported, "millrace.admin.reflection: {}", ::dlerror());
}

void set_limits(grpc::ServerBuilder& builder, const ServerOptions& options) {
    grpc::ResourceQuota quota{"admin"};
    quota.Resize(static_cast<std::size_t>(options.memory_bytes));
    quota.SetMaxThreads(options.threads);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(options.max_message_bytes);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 * 1024);
    // Without this a second broker would share the port and take half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 600'000);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000);
}

/// gRPC tells why it can't listen only to its log, which is one for the process. What it says on a
/// thread that asks goes there, the rest nowhere: outcomes are told by statuses.
class GrpcComplaints {
public:
    GrpcComplaints() {
        heard = &text_;
        gpr_set_log_function([](gpr_log_func_args* args) {
            if (heard != nullptr && args->severity == GPR_LOG_SEVERITY_ERROR) {
                *heard = args->message;
            }
        });
    }
    ~GrpcComplaints() { heard = nullptr; }

    /// The operating system's words among gRPC's, where there are some.
    std::string reason() const {
        constexpr std::string_view mark = "os_error:\"";
        const std::size_t begin = text_.find(mark);
        if (begin == std::string::npos) {
            return text_;
        }
        const std::size_t word = begin + mark.size();
        return text_.substr(word, text_.find('"', word) - word);
    }

private:
    static thread_local std::string* heard;
    std::string text_;
};
thread_local std::string* GrpcComplaints::heard = nullptr;

class GrpcServer final : public Server {
public:
    GrpcServer(ServerOptions options, std::shared_ptr<Gate> gate, const MakeService& make)
        : options_(std::move(options)),
          streams_(std::make_shared<StreamSet>(static_cast<std::size_t>(options_.max_streams))),
          service_(make(std::move(gate), streams_)) {}
    ~GrpcServer() override { stop(Duration{0}); }

    Result<void> listen() {
        grpc::EnableDefaultHealthCheckService(true);
        grpc::ServerBuilder builder;
        set_limits(builder, options_);
        const std::string host = options_.host.empty() ? "[::]" : options_.host;
        const bool needs_brackets = host.find(':') != std::string::npos && host.front() != '[';
        const std::string address = needs_brackets ? fmt::format("[{}]:{}", host, options_.port)
                                                   : fmt::format("{}:{}", host, options_.port);
        builder.AddListeningPort(address, credentials_for(options_.tls), &port_);
        builder.RegisterService(service_.get());
        const GrpcComplaints complaints;
        server_ = builder.BuildAndStart();
        if (server_ == nullptr || port_ == 0) {
            return Error::make(Code::io, "millrace.admin.listener: can't listen on {}: {}", address,
                               complaints.reason());
        }
        set_serving(false);
        return {};
    }

    std::uint16_t port() const override { return static_cast<std::uint16_t>(port_); }

    void set_serving(bool serving) override {
        server_->GetHealthCheckService()->SetServingStatus(serving);
    }

    void stop(Duration grace) override {
        if (server_ == nullptr) {
            return;
        }
        streams_->close_all();
        server_->Shutdown(std::chrono::system_clock::now() +
                          std::chrono::duration_cast<std::chrono::system_clock::duration>(grace));
        server_->Wait();
        server_.reset();
    }

private:
    ServerOptions options_;
    std::shared_ptr<StreamSet> streams_;
    std::unique_ptr<grpc::Service> service_;
    std::unique_ptr<grpc::Server> server_;
    int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Server>> serve(ServerOptions options, std::shared_ptr<AdminDoors> doors,
                                      Logger log, std::shared_ptr<metrics::Registry> registry,
                                      const MakeService& make) {
    MR_TRY_VOID(check(options));
    if (options.reflection) {
        MR_TRY_VOID(load_reflection());
    }
    auto gate = std::make_shared<Gate>(std::move(doors), options.changes_per_second, std::move(log),
                                       std::move(registry));
    auto server = std::make_unique<GrpcServer>(std::move(options), std::move(gate), make);
    MR_TRY_VOID(server->listen());
    return std::unique_ptr<Server>{std::move(server)};
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options,
                                              std::shared_ptr<AdminDoors> doors, Logger log,
                                              std::shared_ptr<metrics::Registry> registry) {
    const Duration deadline = options.default_deadline;
    return serve(std::move(options), std::move(doors), std::move(log), std::move(registry),
                 [deadline](std::shared_ptr<Gate> gate, std::shared_ptr<StreamSet> streams) {
                     return make_service(std::move(gate), std::move(streams), deadline);
                 });
}

}  // namespace millrace::admin
