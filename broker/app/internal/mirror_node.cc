#include "app/internal/mirror_node.h"

#include <algorithm>
#include <utility>

#include "tls/filter.h"

namespace millrace::app {
namespace {

constexpr Duration node_timeout = 15s;
constexpr std::uint64_t most_key_bytes = 64 << 10;
constexpr std::size_t shortest_key = 16;

/// Where clients of this cluster find its brokers, ourselves first.
std::vector<runtime::Address> brokers_of(const metadata::Image& image, BrokerId self,
                                         const std::string& listener) {
    std::vector<runtime::Address> all;
    for (const auto& entry : image.cluster.brokers) {
        const metadata::Endpoint* endpoint = entry.value->endpoint(listener);
        if (endpoint == nullptr) {
            continue;
        }
        const runtime::Address address{endpoint->host, endpoint->port};
        all.insert(entry.key == self ? all.begin() : all.end(), address);
    }
    return all;
}

/// A link carries its certificates as text, so the disk is not asked.
Result<net::StreamWrapper> towards_source(const mirror::LinkSpec& spec, runtime::Disk& disk) {
    tls::Settings settings;
    if (!spec.tls_certificate.empty()) {
        settings.key_store = {"PEM", {}, {}, Secret(spec.tls_certificate), spec.tls_key};
    }
    if (!spec.tls_ca.empty()) {
        settings.trust_store = {"PEM", {}, {}, Secret(spec.tls_ca), {}};
    }
    auto context = tls::Context::open(std::move(settings), disk);
    if (!context) {
        return context.error().with_context(fmt::format("link {}", spec.name));
    }
    return net::StreamWrapper(tls::client_filter(*std::move(context)));
}

}  // namespace

Result<std::vector<Secret>> read_link_keys(runtime::Disk& disk, const std::string& path) {
    std::vector<Secret> keys;
    if (path.empty()) {
        return keys;
    }
    auto text = disk.read_whole(path, most_key_bytes);
    if (!text && text.error().code() == Code::not_found) {
        return Error::make(Code::invalid, "millrace.links.key.file: {}", text.error().message());
    }
    if (!text) {
        return text.error().with_context("millrace.links.key.file");
    }
    for (std::size_t at = 0; at < text->size();) {
        const std::size_t end = std::min(text->find('\n', at), text->size());
        const std::string line = text->substr(at, end - at);
        at = end + 1;
        if (line.empty()) {
            continue;
        }
        if (line.size() < shortest_key) {
            return Error::make(Code::invalid,
                               "millrace.links.key.file: a key of {} characters; {} at least, as "
                               "`openssl rand -base64 32` makes them",
                               line.size(), shortest_key);
        }
        keys.emplace_back(line);
    }
    if (keys.empty()) {
        return Error::make(Code::invalid, "millrace.links.key.file: there is no key in {}", path);
    }
    return keys;
}

class MirrorNode::ToController final : public mirror::Controller {
public:
    explicit ToController(ControllerLink& link) : link_(link) {}

    void ask(std::int16_t api_key, std::int16_t version, Buffer body,
             UniqueFunction<void(Result<Buffer>)> done) override {
        link_.call(
            api_key, version, std::move(body), node_timeout,
            [done = std::move(done)](Result<handlers::ControllerDoor::Answer> answer) mutable {
                if (answer) {
                    done(std::move(answer->body));
                } else {
                    done(answer.error());
                }
            });
    }

private:
    ControllerLink& link_;
};

MirrorNode::MirrorNode(MirrorNodeOptions options, runtime::Node& node,
                       const replication::Replicas& replicas, const metadata::ImageHandle& image,
                       ControllerLink& controller)
    : controller_(std::make_unique<ToController>(controller)) {
    mirror::LinksOptions links;
    links.self = options.self;
    links.cluster_id = options.cluster_id;
    links.own_wrap = std::move(options.own_wrap);
    links.deletion_grace = options.deletion_grace;
    links.secret_keys = std::move(options.secret_keys);
    links.default_copies = options.default_copies;
    links.secure = [&disk = node.disk()](const mirror::LinkSpec& spec) {
        return towards_source(spec, disk);
    };
    links_ = std::make_unique<mirror::Links>(
        std::move(links), node, replicas, image, *controller_,
        [&image, self = options.self, listener = options.own_listener] {
            return brokers_of(*image.current(), self, listener);
        });
}

MirrorNode::~MirrorNode() = default;

}  // namespace millrace::app
