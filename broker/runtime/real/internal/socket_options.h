// runtime/real/internal/socket_options.h
//
// What every connection of ours is given.
#pragma once

namespace millrace::runtime::internal {

/// For options that a TCP socket can't refuse.
void set_option(int socket, int level, int name, int value);

/// No Nagle delay; the kernel looks after dead peers.
void set_stream_options(int socket);

}  // namespace millrace::runtime::internal
