// app/internal/producer_ids.h
//
// Hands out producer ids from blocks that the controller gives this broker. Lives on the control
// loop; asked from any.
#pragma once

#include <deque>
#include <memory>

#include "app/internal/controller_link.h"
#include "app/internal/lifecycle.h"
#include "handlers/doors.h"

namespace millrace::app {

class BlockProducerIds final : public handlers::ProducerIds {
public:
    BlockProducerIds(BrokerId self, runtime::Executor& control, ControllerLink& controller,
                     const Lifecycle& lifecycle);
    ~BlockProducerIds() override;
    void next(runtime::Executor& home, UniqueFunction<void(Result<ProducerId>)> done) override;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
