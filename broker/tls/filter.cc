#include "tls/filter.h"

#include "tls/internal/tls_stream.h"

namespace millrace::tls {
namespace {

Filter filter(internal::TlsStream::Side side, std::shared_ptr<Context> context) {
    return [side, context = std::move(context)](runtime::StreamPtr below, runtime::Shard shard,
                                                const std::string& name) {
        return runtime::StreamPtr(
            std::make_unique<internal::TlsStream>(side, std::move(below), shard, context, name));
    };
}

}  // namespace

Filter server_filter(std::shared_ptr<Context> context) {
    MR_ASSERT(context->has_certificate());
    return filter(internal::TlsStream::Side::server, std::move(context));
}

Filter client_filter(std::shared_ptr<Context> context) {
    return filter(internal::TlsStream::Side::client, std::move(context));
}

}  // namespace millrace::tls
