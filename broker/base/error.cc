#include "base/error.h"

namespace millrace {

std::string_view to_string(Code code) {
    switch (code) {
        case Code::again: return "again";
        case Code::busy: return "busy";
        case Code::cancelled: return "cancelled";
        case Code::closed: return "closed";
        case Code::corrupt: return "corrupt";
        case Code::exhausted: return "exhausted";
        case Code::exists: return "exists";
        case Code::fenced: return "fenced";
        case Code::internal: return "internal";
        case Code::invalid: return "invalid";
        case Code::io: return "io";
        case Code::no_space: return "no_space";
        case Code::not_found: return "not_found";
        case Code::not_leader: return "not_leader";
        case Code::permission: return "permission";
        case Code::timed_out: return "timed_out";
        case Code::unavailable: return "unavailable";
        case Code::unsupported: return "unsupported";
    }
    return "unknown";
}

std::string Error::to_string() const {
    return fmt::format("{}: {}", millrace::to_string(code_), message_);
}

Error Error::with_context(std::string_view context) const {
    return Error(code_, fmt::format("{}: {}", context, message_));
}

}  // namespace millrace
