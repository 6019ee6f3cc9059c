#include "app/internal/mirror_node.h"

#include <utility>

namespace millrace::app {
namespace {

constexpr Duration patience = 15s;

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

}  // namespace

class MirrorNode::ToController final : public mirror::Controller {
public:
    explicit ToController(ControllerLink& link) : link_(link) {}

    void ask(std::int16_t api_key, std::int16_t version, Buffer body,
             UniqueFunction<void(Result<Buffer>)> done) override {
        link_.call(
            api_key, version, std::move(body), patience,
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
    links_ = std::make_unique<mirror::Links>(
        std::move(links), node, replicas, image, *controller_,
        [&image, self = options.self, listener = options.own_listener] {
            return brokers_of(*image.current(), self, listener);
        });
}

MirrorNode::~MirrorNode() = default;

}  // namespace millrace::app
