#include "tests/sim/systems/cluster_broker.h"

#include <fmt/format.h>
#include <utility>

#include "config/config.h"

namespace millrace::simtest {

BrokerProgram::BrokerProgram(runtime::Node& node, const std::string& settings,
                             std::function<void(std::string)> on_failed,
                             std::uint64_t journal_bytes) {
    const config::Loaded loaded = config::load(
        {.text = fmt::format("{}\nmillrace.journal.bytes={}\n", settings, journal_bytes)});
    MR_ASSERT(loaded.errors.empty());
    app::BrokerOptions options;
    options.journal_after = 0;
    options.given = loaded.given;
    auto made = app::Broker::make(std::move(options), node,
                                  [on_failed](const Error& why) { on_failed(why.message()); });
    if (!made) {
        on_failed(made.error().message());
        return;
    }
    broker_ = *std::move(made);
    view_.emplace(broker_->view());
}

BrokerProgram::~BrokerProgram() {
    if (drained_) {
        // What main() does after its loops have stopped. A disk that fails here makes the next
        // start an unclean one, which that start finds out by itself.
        [[maybe_unused]] const bool is_clean = broker_->close().has_value();
    }
}

void BrokerProgram::stop(runtime::Task stopped) {
    if (!broker_) {
        stopped();
        return;
    }
    broker_->drain([this, stopped = std::move(stopped)]() mutable {
        drained_ = true;
        stopped();
    });
}

}  // namespace millrace::simtest
