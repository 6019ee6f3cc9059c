#include "config/internal/names.h"

namespace millrace::config {

const Option* broker_option_behind(std::string_view name) {
    if (const Option* option = find_option(Scope::broker, name)) {
        return option;
    }
    if (name.starts_with(mirror_link_prefix)) {
        return find_option(Scope::broker,
                           mirror_link_prefix.substr(0, mirror_link_prefix.size() - 1));
    }
    constexpr std::string_view prefix = "listener.name.";
    if (!name.starts_with(prefix)) {
        return nullptr;
    }
    // After the listener's name comes the option, or a mechanism and then the option.
    for (std::size_t dot = name.find('.', prefix.size()); dot != std::string_view::npos;
         dot = name.find('.', dot + 1)) {
        if (const Option* option = find_option(Scope::broker, name.substr(dot + 1))) {
            return option;
        }
    }
    return nullptr;
}

}  // namespace millrace::config
