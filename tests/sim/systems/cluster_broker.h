// tests/sim/systems/cluster_broker.h
//
// The production broker, assembled as main() does, as a simulated machine's program. Only the gRPC
// and metrics edges are missing: they own threads and sockets of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/broker.h"
#include "app/internal/broker_view.h"
#include "runtime/sim/sim_node.h"

namespace millrace::simtest {

class BrokerProgram final : public runtime::sim::Program {
public:
    /// `on_failed` hears once, on the control loop or inside the constructor, that the process
    /// would end by itself now.
    /// Journals are made with the first sync, and small: their halves turn over often.
    BrokerProgram(runtime::Node& node, const std::string& settings,
                  std::function<void(std::string)> on_failed,
                  std::uint64_t journal_bytes = std::uint64_t{64} << 10);
    ~BrokerProgram() override;

    void stop(runtime::Task stopped) override;
    /// Null if it could not start.
    const app::BrokerView* view() const { return view_ ? &*view_ : nullptr; }
    bool is_ready() const { return broker_ && broker_->is_ready(); }

private:
    std::unique_ptr<app::Broker> broker_;
    std::optional<app::BrokerView> view_;
    bool drained_ = false;
};

}  // namespace millrace::simtest
