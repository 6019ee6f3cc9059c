#include "net/internal/connection.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/overloaded.h"
#include "net/internal/shard_connections.h"
#include "net/internal/shares.h"

namespace millrace::net {
namespace {

constexpr std::size_t length_size = 4;
constexpr std::size_t read_budget = 1U << 20;
constexpr int request_budget = 16;
constexpr Duration ledger_retry = 5ms;
/// What a connection keeps of a request that is not all there without being charged for it; each is
/// counted with so much at rest (config/budget.cc).
constexpr std::size_t kept_free = 16U << 10;
constexpr Duration short_retry = 50ms;
// While memory is short: what a large request has to come with after a moment, and how long an
// answer may stand still.
constexpr std::int64_t least_bytes_a_second = 256 << 10;
constexpr Duration moment = 2s;
constexpr Duration longest_standstill = 5s;
// The ledger is everybody's: small answers come and go without touching it.
constexpr std::int64_t charge_step = 16 << 10;

Buffer framed(std::uint64_t total) {
    Buffer length(length_size);
    store_big_endian(length.data(), static_cast<std::int32_t>(total));
    return length;
}

}  // namespace

Connection::Connection(ShardConnections& owner, ConnectionInfo info, runtime::StreamPtr stream,
                       ConnectionGate::Place place)
    : owner_(owner), place_(std::move(place)), info_(std::move(info)), stream_(std::move(stream)) {}

Connection::~Connection() {
    owner_.shared().ledger->release(out_charged_ + pending_charged_);
}

void Connection::start() {
    opened_ = last_activity_ = owner_.now();
    stream_->set_events(this);
}

void Connection::turn_away(Duration wait) {
    owner_.shared().counters.refused.fetch_add(1, std::memory_order_relaxed);
    opened_ = last_activity_ = owner_.now();
    paused_ = true;
    muted_until_ = Instant::never();
    stream_->set_events(this);
    stream_->pause_reading(true);
    owner_.run_after(wait, info_.id, &Connection::end_turned_away);
}

void Connection::end_turned_away() {
    close("too many connections from its address", false);
}

void Connection::on_readable() {
    if (!closed_ && !paused_) {
        read_loop();
    }
}

void Connection::read_loop() {
    const Instant now = owner_.now();
    std::size_t budget = read_budget;
    MutableBytes scratch = owner_.scratch();
    // What an earlier pass left over comes first; it always fits, or it would be a large frame.
    std::size_t held = pending_.size();
    std::copy(pending_.begin(), pending_.end(), scratch.begin());
    pending_.clear();
    const auto keep_rest = [&](std::size_t used) {
        pending_.assign(scratch.begin() + static_cast<std::ptrdiff_t>(used),
                        scratch.begin() + static_cast<std::ptrdiff_t>(held));
        if (pending_.empty()) {
            pending_.shrink_to_fit();  // an idle connection holds no buffer
        }
        charge_pending();
    };
    for (;;) {
        if (large_) {
            const Progress progress = read_large(now, budget);
            if (progress != Progress::continues) {
                return;
            }
            continue;
        }
        std::size_t used = 0;
        const Progress progress = cut_frames(scratch.first(held), used);
        if (progress == Progress::closed) {
            return;
        }
        if (large_) {
            held = 0;  // its first bytes have moved over
            continue;
        }
        std::memmove(scratch.data(), scratch.data() + used, held - used);
        held -= used;
        if (progress == Progress::blocked || budget == 0) {
            keep_rest(0);
            if (progress != Progress::blocked) {
                resume_soon();
            } else {
                frame_began_.reset();  // it is we who don't read on
            }
            return;
        }
        const bool is_tight = is_short(*owner_.shared().ledger);
        if (is_tight && held >= kept_free) {
            // A crowd of requests that stop before their end must not fill a scratch each.
            keep_rest(0);
            frame_began_ = now;
            owner_.run_after(short_retry, info_.id, &Connection::on_readable);
            return;
        }
        const auto got = stream_->read(is_tight ? scratch.subspan(held).first(kept_free - held)
                                                : scratch.subspan(held));
        if (!got) {
            if (got.error().code() == Code::again) {
                keep_rest(0);
                frame_began_ =
                    pending_.empty() ? std::nullopt : std::optional(frame_began_.value_or(now));
                return;
            }
            close(got.error());
            return;
        }
        if (*got == 0) {
            close("peer closed", false);
            return;
        }
        owner_.shared().counters.bytes_in.fetch_add(static_cast<std::int64_t>(*got),
                                                    std::memory_order_relaxed);
        last_activity_ = now;
        budget -= std::min(budget, *got);
        held += *got;
    }
}

/// The bytes are here already, so they can't be refused: others wait for them.
void Connection::charge_pending() {
    const auto held = pending_.size() > kept_free ? static_cast<std::int64_t>(pending_.size()) : 0;
    if (held != pending_charged_) {
        hold_anyway(*owner_.shared().ledger, held - pending_charged_);
        pending_charged_ = held;
    }
}

Connection::Progress Connection::read_large(Instant now, std::size_t& budget) {
    LargeFrame& large = *large_;
    while (large.filled < large.bytes->size()) {
        if (budget == 0) {
            resume_soon();
            return Progress::blocked;
        }
        const auto got = stream_->read(MutableBytes(*large.bytes).subspan(large.filled));
        if (!got) {
            if (got.error().code() == Code::again) {
                return Progress::blocked;
            }
            close(got.error());
            return Progress::closed;
        }
        if (*got == 0) {
            close("peer closed inside a frame", false);
            return Progress::closed;
        }
        owner_.shared().counters.bytes_in.fetch_add(static_cast<std::int64_t>(*got),
                                                    std::memory_order_relaxed);
        last_activity_ = now;
        budget -= std::min(budget, *got);
        large.filled += *got;
    }
    if (!may_dispatch()) {
        return Progress::blocked;
    }
    LargeFrame done = std::move(*large_);
    large_.reset();
    frame_began_.reset();
    dispatch(Frame(std::move(done.bytes), std::move(done.charge)));
    return closed_ ? Progress::closed : Progress::continues;
}

Connection::Progress Connection::cut_frames(MutableBytes data, std::size_t& used) {
    int requests = 0;
    while (data.size() - used >= length_size) {
        const MutableBytes rest = data.subspan(used);
        const auto declared = load_big_endian<std::int32_t>(rest.data());
        const ServerLimits& limits = owner_.shared().limits;
        if (declared < 0 || declared > limits.max_request_bytes) {
            close(fmt::format("frame of {} bytes declared, at most {} taken", declared,
                              limits.max_request_bytes),
                  true);
            return Progress::closed;
        }
        const auto size = static_cast<std::size_t>(declared);
        if (rest.size() - length_size < size) {
            if (size + length_size <= owner_.scratch().size()) {
                return Progress::continues;  // the rest will fit beside it
            }
            return begin_large(size, rest.subspan(length_size));
        }
        if (!may_dispatch()) {
            return Progress::blocked;
        }
        if (requests++ == request_budget) {
            resume_soon();
            return Progress::blocked;
        }
        Reservation charge = reserve_whole(*owner_.shared().ledger, declared);
        if (!charge) {
            owner_.run_after(ledger_retry, info_.id, &Connection::on_readable);
            return Progress::blocked;
        }
        used += length_size + size;
        frame_began_.reset();
        dispatch(Frame(rest.subspan(length_size, size), std::move(charge)));
        if (closed_) {
            return Progress::closed;
        }
    }
    return Progress::continues;
}

Connection::Progress Connection::begin_large(std::size_t frame_size, ByteView first_bytes) {
    Reservation charge =
        reserve_ahead(*owner_.shared().ledger, static_cast<std::int64_t>(frame_size));
    if (!charge) {
        // Nothing more is read meanwhile: the peer feels it as back-pressure.
        owner_.run_after(ledger_retry, info_.id, &Connection::on_readable);
        return Progress::blocked;
    }
    LargeFrame large{std::make_shared<RawBuffer>(frame_size), first_bytes.size(),
                     std::move(charge)};
    std::memcpy(large.bytes->data(), first_bytes.data(), first_bytes.size());
    pending_ = Buffer();
    charge_pending();
    large_ = std::move(large);
    frame_began_ = frame_began_.value_or(owner_.now());
    return Progress::continues;
}

/// Its answers have to leave before more is taken from it.
bool Connection::is_full() const {
    const ServerLimits& limits = owner_.shared().limits;
    return answers_.size() >= static_cast<std::size_t>(limits.max_in_flight) ||
           out_bytes_ >= static_cast<std::uint64_t>(limits.max_response_bytes) ||
           (out_memory_ > 0 && out_memory_ >= share_of_unread(*owner_.shared().ledger));
}

bool Connection::may_dispatch() {
    if (is_full() || draining_ || close_when_sent_ || muted_until_) {
        paused_ = true;
        stream_->pause_reading(true);
        return false;
    }
    return true;
}

void Connection::dispatch(Frame frame) {
    if (!any_request_ && !stream_->peer_name().empty()) {
        info_.principal.name = stream_->peer_name();
    }
    any_request_ = true;
    const std::uint64_t sequence = first_sequence_ + answers_.size();
    answers_.emplace_back();
    owner_.shared().dispatch->on_frame(info_, session_, std::move(frame),
                                       Reply(owner_.shared_from_this(), info_.id, sequence));
}

void Connection::deliver(std::uint64_t sequence, Response response) {
    if (sequence < first_sequence_ || sequence - first_sequence_ >= answers_.size()) {
        return;  // answered twice would be a bug upstream; Reply is move-only, so it can't happen
    }
    owner_.shared().dispatch->on_answer(info_, response);
    if (response.mute > Duration{}) {
        mute(response.mute);
    }
    count_out(static_cast<std::int64_t>(response.bytes.size()));
    answers_[sequence - first_sequence_] = std::move(response);
    if (sequence == first_sequence_) {
        owner_.flush_later(*this);
    }
}

void Connection::flush() {
    queue_ready();
    if (closed_ || awaiting_writable_) {
        return;
    }
    const auto drained = write_some();
    if (!drained) {
        close(drained.error());
        return;
    }
    if (*drained && (close_when_sent_ || (draining_ && answers_.empty()))) {
        close(close_when_sent_ ? "closed after the last answer" : "draining", false);
        return;
    }
    if (paused_ && !draining_ && !close_when_sent_ && !muted_until_ && !is_full()) {
        paused_ = false;
        stream_->pause_reading(false);
        resume_soon();
    }
}

void Connection::queue_ready() {
    while (!answers_.empty() && answers_.front() && !close_when_sent_) {
        Response response = *std::move(answers_.front());
        answers_.pop_front();
        ++first_sequence_;
        close_when_sent_ = response.close_after;
        if (!response.none && !queue_response(std::move(response))) {
            return;
        }
    }
}

bool Connection::queue_response(Response response) {
    const std::uint64_t size = response.size();
    if (size > static_cast<std::uint64_t>(INT32_MAX)) {
        close(fmt::format("answer of {} bytes does not fit a frame", size), true);
        return false;
    }
    // Small answers share one buffer with what waits already: fewer parts, fewer calls.
    const bool joins = !out_.empty() && std::holds_alternative<Buffer>(out_.back()) &&
                       (out_.size() > 1 || out_done_ == 0) && response.splices.empty() &&
                       response.bytes.size() < 4096;
    Buffer length = framed(size);
    if (joins) {
        auto& tail = std::get<Buffer>(out_.back());
        tail.insert(tail.end(), length.begin(), length.end());
        tail.insert(tail.end(), response.bytes.begin(), response.bytes.end());
    } else {
        out_.emplace_back(std::move(length));
        std::size_t at = 0;
        for (Response::Splice& splice : response.splices) {
            if (splice.position > at) {
                out_.emplace_back(
                    Buffer(response.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                           response.bytes.begin() + static_cast<std::ptrdiff_t>(splice.position)));
                at = splice.position;
            }
            if (splice.range.length > 0) {
                out_.emplace_back(std::move(splice.range));
            }
        }
        if (at == 0 && !response.bytes.empty()) {
            out_.emplace_back(std::move(response.bytes));
        } else if (at < response.bytes.size()) {
            out_.emplace_back(Buffer(response.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                     response.bytes.end()));
        }
    }
    out_bytes_ += size + length_size;
    return true;
}

Result<bool> Connection::write_some() {
    while (!out_.empty()) {
        Result<std::size_t> sent = std::size_t{0};
        if (auto* range = std::get_if<FileRange>(&out_.front())) {
            sent = stream_->send_file(*range->file, range->offset + out_done_,
                                      range->length - out_done_);
        } else {
            std::array<iovec, 64> parts;
            std::size_t count = 0;
            std::size_t skip = out_done_;
            bool file_follows = false;
            for (auto& part : out_) {
                auto* buffer = std::get_if<Buffer>(&part);
                if (buffer == nullptr || count == parts.size()) {
                    file_follows = true;
                    break;
                }
                parts[count++] = {buffer->data() + skip, buffer->size() - skip};
                skip = 0;
            }
            sent = stream_->write(std::span<const iovec>(parts.data(), count), file_follows);
        }
        if (!sent) {
            if (sent.error().code() != Code::again) {
                return sent.error();
            }
            sent = std::size_t{0};
        }
        std::size_t left = *sent;
        if (left > 0) {
            owner_.shared().counters.bytes_out.fetch_add(static_cast<std::int64_t>(left),
                                                         std::memory_order_relaxed);
            out_bytes_ -= left;
            note_progress();
        }
        while (left > 0) {
            const std::size_t size = std::visit(
                Overloaded{[](const Buffer& b) { return b.size(); },
                           [](const FileRange& r) { return static_cast<std::size_t>(r.length); }},
                out_.front());
            const std::size_t here = std::min(left, size - out_done_);
            out_done_ += here;
            left -= here;
            if (std::holds_alternative<Buffer>(out_.front())) {
                // A frame's length goes out too, and was not counted.
                count_out(-std::min(static_cast<std::int64_t>(here), out_memory_));
            }
            if (out_done_ == size) {
                out_.pop_front();
                out_done_ = 0;
            }
        }
        if (*sent == 0) {
            awaiting_writable_ = true;
            output_stalled_ = output_stalled_.value_or(owner_.now());
            return false;
        }
    }
    output_stalled_.reset();
    return true;
}

void Connection::count_out(std::int64_t change) {
    out_memory_ += change;
    const std::int64_t uncharged = out_memory_ - out_charged_;
    if (std::abs(uncharged) > charge_step || (out_memory_ == 0 && uncharged != 0)) {
        hold_anyway(*owner_.shared().ledger, uncharged);
        out_charged_ = out_memory_;
    }
}

void Connection::on_writable() {
    if (!closed_ && awaiting_writable_) {
        awaiting_writable_ = false;
        flush();
    }
}

void Connection::note_progress() {
    last_activity_ = owner_.now();
    output_stalled_.reset();
}

void Connection::mute(Duration time) {
    muted_until_ = std::max(muted_until_.value_or(Instant{}), owner_.now() + time);
    owner_.run_after(time, info_.id, &Connection::unmute);
}

/// What it waited for itself is not held against it.
void Connection::unmute() {
    const Instant now = owner_.now();
    if (!muted_until_ || now < *muted_until_) {
        return;
    }
    muted_until_.reset();
    last_activity_ = now;
    if (frame_began_) {
        frame_began_ = now;
    }
    flush();
}

void Connection::resume_soon() {
    owner_.run_later(info_.id, &Connection::on_readable);
}

void Connection::check_deadlines(Instant now) {
    const ServerLimits& limits = owner_.shared().limits;
    if (!any_request_ && !muted_until_ && now - opened_ > limits.first_request_deadline) {
        close("no request in time", true);
    } else if (!muted_until_ && frame_began_ &&
               now - std::max(*frame_began_, last_activity_) > limits.request_deadline) {
        close("a request was begun and stands still", true);
    } else if (output_stalled_ && now - *output_stalled_ > limits.response_deadline) {
        close("an answer was not taken in time", true);
    } else if (!muted_until_ && answers_.empty() && out_.empty() &&
               now - last_activity_ > limits.idle_deadline) {
        close("idle", false);
    } else if (is_short(*owner_.shared().ledger)) {
        check_memory(now);
    }
}

/// Others need what this one holds and makes no use of.
void Connection::check_memory(Instant now) {
    const bool is_large = large_ && large_->filled < large_->bytes->size();
    if (frame_began_ && !muted_until_ && (is_large || pending_charged_ > 0)) {
        const Duration took = now - *frame_began_;
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(took).count();
        const std::size_t here = is_large ? large_->filled : pending_.size();
        if (took > moment && static_cast<std::int64_t>(here) < seconds * least_bytes_a_second) {
            close("memory is short, and a large request comes too slowly", true);
        }
    } else if (output_stalled_ && now - *output_stalled_ > longest_standstill &&
               out_memory_ >= share_of_unread(*owner_.shared().ledger)) {
        close("memory is short, and an answer is not taken", true);
    }
}

void Connection::drain() {
    draining_ = true;
    paused_ = true;
    stream_->pause_reading(true);
    owner_.flush_later(*this);
}

void Connection::close(const Error& error) {
    close(error.message(), error.code() == Code::permission);
}

void Connection::close(std::string_view reason, bool for_cause) {
    if (closed_) {
        return;
    }
    closed_ = true;
    stream_->set_events(nullptr);
    stream_->close();
    if (for_cause) {
        owner_.shared().counters.closed_for_cause.fetch_add(1, std::memory_order_relaxed);
        MR_LOG(owner_.log(), warn, "net.connection_closed", field("listener", info_.listener),
               field("peer", info_.peer.to_string()), field("reason", reason));
    } else {
        MR_LOG(owner_.log(), debug, "net.connection_closed", field("listener", info_.listener),
               field("peer", info_.peer.to_string()), field("reason", reason));
    }
    owner_.on_closed(info_.id);
}

}  // namespace millrace::net
