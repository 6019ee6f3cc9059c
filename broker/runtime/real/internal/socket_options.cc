#include "runtime/real/internal/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace millrace::runtime::internal {

void set_option(int socket, int level, int name, int value) {
    // It fails only on a connection that is reset already, which the next read reports.
    (void)::setsockopt(socket, level, name, &value, sizeof(value));
}

void set_stream_options(int socket) {
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
}

}  // namespace millrace::runtime::internal
