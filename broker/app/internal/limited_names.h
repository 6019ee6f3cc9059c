// app/internal/limited_names.h
//
// The addresses of the names in max.connections.per.ip.overrides, as connections come from
// addresses. Looked up whenever settings change, and not in between. On the control loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "config/listeners.h"
#include "runtime/net.h"

namespace millrace::app {

class LimitedNames : public std::enable_shared_from_this<LimitedNames> {
public:
    using Addresses = std::map<std::string, std::vector<std::string>, std::less<>>;

    LimitedNames(runtime::Net& net, const Logger& log) : net_(net), log_(log) {}

    /// `found` whenever more is known.
    void look_up(const std::vector<config::AddressLimit>& limits, std::function<void()> found) {
        found_ = std::move(found);
        for (const config::AddressLimit& one : limits) {
            if (!one.is_name) {
                continue;
            }
            net_.look_up(one.address, [weak = weak_from_this(), name = one.address](
                                          Result<std::vector<std::string>> addresses) {
                if (auto self = weak.lock()) {
                    self->on_answer(name, std::move(addresses));
                }
            });
        }
    }
    const Addresses& known() const { return known_; }

private:
    void on_answer(const std::string& name, Result<std::vector<std::string>> addresses) {
        if (!addresses) {
            MR_LOG(log_, warn, "net.limited_name_unknown", field("name", name),
                   field("reason", addresses.error().message()),
                   field("remedy", "max.connections.per.ip.overrides: give its address"));
            return;
        }
        known_.insert_or_assign(name, *std::move(addresses));
        found_();
    }

    runtime::Net& net_;
    const Logger& log_;
    std::function<void()> found_;
    Addresses known_;
};

}  // namespace millrace::app
