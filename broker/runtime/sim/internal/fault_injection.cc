// How each planned Fault happens.
#include "runtime/sim/simulation.h"

namespace millrace::runtime::sim {

void Simulation::schedule(const Fault& fault) {
    world_.at(Instant{0} + fault.at, [this, fault, epoch = fault_epoch_] {
        if (epoch == fault_epoch_ && !nodes_.empty()) {
            // A plan is drawn before it is known how many nodes this seed has.
            Fault aimed = fault;
            aimed.node = static_cast<std::uint32_t>(fault.node % nodes_.size());
            aimed.other = static_cast<std::uint32_t>(fault.other % nodes_.size());
            begin(aimed);
        }
    });
}

void Simulation::begin(const Fault& fault) {
    SimNode& node = *nodes_[fault.node];
    note(&node, fmt::format("fault {} other n{} for {} ms value {}", to_string(fault.kind),
                            fault.other, to_milliseconds(fault.lasts), fault.value));
    if (fault.kind <= FaultKind::empty_disk) {
        begin_process(fault, node);
    } else if (fault.kind <= FaultKind::half_open) {
        begin_network(fault, node);
    } else if (fault.kind <= FaultKind::stale_read) {
        begin_disk(fault, node);
    } else {
        begin_clock(fault, node);
    }
    world_.in(fault.lasts, [this, fault, epoch = fault_epoch_] {
        if (epoch == fault_epoch_) {
            end(fault);
        }
    });
}

void Simulation::begin_process(const Fault& fault, SimNode& node) {
    if (!node.is_running()) {
        return;
    }
    switch (fault.kind) {
        case FaultKind::kill:
            node.kill();
            break;
        case FaultKind::power_cut:
            node.cut_power();
            break;
        case FaultKind::blackout:
            for (const auto& each : nodes_) {
                each->cut_power();
            }
            break;
        case FaultKind::graceful_stop:
            node.stop();
            break;
        case FaultKind::pause:
            node.pause();
            break;
        case FaultKind::empty_disk:
            node.kill();
            node.sim_disk().wipe();
            break;
        case FaultKind::kill_in_write:
        case FaultKind::power_cut_in_write:
            node.doom(fault.value, fault.kind == FaultKind::power_cut_in_write, fault.lasts);
            return;  // Counted when it happens.
        default:
            MR_ASSERT(false);
    }
    world_.count(fault.kind);
}

void Simulation::begin_network(const Fault& fault, SimNode& node) {
    const SimNode& other = *nodes_[fault.other];
    switch (fault.kind) {
        case FaultKind::partition:
            network_.partition(node.name(), other.name());
            break;
        case FaultKind::one_way:
            network_.block(node.name(), other.name());
            break;
        case FaultKind::isolate:
            for (const auto& each : nodes_) {
                network_.partition(node.name(), each->name());
            }
            break;
        case FaultKind::slow_link:
            network_.slow_down(node.name(), other.name(), std::chrono::microseconds{fault.value});
            break;
        case FaultKind::reset:
        case FaultKind::half_open:
            network_.reset_connections(node.name(), other.name(),
                                       fault.kind == FaultKind::half_open);
            return;  // Counted for each connection.
        default:
            MR_ASSERT(false);
    }
    world_.count(fault.kind);
}

void Simulation::begin_disk(const Fault& fault, SimNode& node) {
    SimDisk& disk = node.sim_disk();
    switch (fault.kind) {  // Each is counted when a call meets it.
        case FaultKind::read_error:
            disk.fail_next(DiskCall::read, fault.value);
            break;
        case FaultKind::write_error:
            disk.fail_next(DiskCall::write, fault.value);
            break;
        case FaultKind::sync_error:
            disk.fail_next(DiskCall::sync, fault.value);
            break;
        case FaultKind::rename_error:
            disk.fail_next(DiskCall::rename, fault.value);
            break;
        case FaultKind::open_error:
            disk.fail_next(DiskCall::open, fault.value);
            break;
        case FaultKind::disk_full:
            disk.set_full(true);
            break;
        case FaultKind::disk_slow:
            disk.set_slow(std::chrono::microseconds{fault.value});
            break;
        case FaultKind::bit_rot:
            disk.rot();
            break;
        case FaultKind::lost_write:
            disk.lose_next_write();
            break;
        case FaultKind::misdirected_write:
            disk.misdirect_next_write();
            break;
        case FaultKind::stale_read:
            disk.serve_stale_next_read();
            break;
        default:
            MR_ASSERT(false);
    }
}

void Simulation::begin_clock(const Fault& fault, SimNode& node) {
    const auto value = static_cast<std::int64_t>(fault.value);
    const std::int64_t signed_value = fault.value % 2 == 0 ? value : -value;
    if (fault.kind == FaultKind::wall_jump) {
        node.sim_clock().shift_wall(std::chrono::milliseconds{signed_value});
    } else {
        node.sim_clock().set_drift(signed_value);
    }
    world_.count(fault.kind);
}

void Simulation::end(const Fault& fault) {
    SimNode& node = *nodes_[fault.node];
    const std::string& other = nodes_[fault.other]->name();
    SimDisk& disk = node.sim_disk();
    switch (fault.kind) {
        case FaultKind::kill:
        case FaultKind::power_cut:
        case FaultKind::graceful_stop:
        case FaultKind::empty_disk:
            node.come_back();
            break;
        case FaultKind::blackout:
            for (const auto& each : nodes_) {
                // One after the other, as machines boot.
                back_after(*each, World::up_to(world_.scheduling, fault.lasts));
            }
            break;
        case FaultKind::pause:
            node.resume();
            break;
        case FaultKind::partition:
            network_.heal(node.name(), other);
            break;
        case FaultKind::one_way:
            network_.unblock(node.name(), other);
            break;
        case FaultKind::isolate:
            for (const auto& each : nodes_) {
                network_.heal(node.name(), each->name());
            }
            break;
        case FaultKind::slow_link:
            network_.slow_down(node.name(), other, Duration{});
            break;
        case FaultKind::disk_full:
            disk.set_full(false);
            break;
        case FaultKind::disk_slow:
            disk.set_slow(Duration{});
            break;
        case FaultKind::drift:
            node.sim_clock().set_drift(0);
            break;
        default:
            break;  // Happened in a moment, or waits for the call that it hits.
    }
}

void Simulation::back_after(SimNode& node, Duration delay) {
    world_.in(delay, [this, &node, epoch = fault_epoch_] {
        if (epoch == fault_epoch_) {
            node.come_back();
        }
    });
}

}  // namespace millrace::runtime::sim
