// tls/filter.h
//
// TLS over any byte stream: what goes in is what the peer sent in the clear, what comes out is
// encrypted. Non-blocking, on the stream's own loop. A handshake that fails or takes too long ends
// the stream with Code::permission and the reason.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/net.h"
#include "runtime/node.h"
#include "tls/context.h"

namespace millrace::tls {

/// What net calls on each new connection; the name is whom a dialed peer must prove to be.
using Filter =
    std::function<runtime::StreamPtr(runtime::StreamPtr, runtime::Shard, const std::string& name)>;

Filter server_filter(std::shared_ptr<Context> context);
Filter client_filter(std::shared_ptr<Context> context);

}  // namespace millrace::tls
