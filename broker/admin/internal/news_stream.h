// admin/internal/news_stream.h
//
// A long-lived answer: news as it comes, the newest only when the reader is slow, the last one
// again after a silence. Holds two messages at most, whatever the reader does.
#pragma once

#include <chrono>
#include <grpcpp/alarm.h>
#include <grpcpp/support/server_callback.h>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "admin/doors.h"

namespace millrace::admin {

/// The streams of one server, to end them and to bound their number.
class StreamSet {
public:
    class Member {
    public:
        virtual ~Member() = default;
        virtual void close(const grpc::Status& status) = 0;
    };

    explicit StreamSet(std::size_t most) : most_(most) {}

    /// False when there are too many already, or none are wanted any more.
    bool add(Member* member) {
        const std::lock_guard lock{mutex_};
        if (closed_ || members_.size() >= most_) {
            return false;
        }
        return members_.insert(member).second;
    }
    void remove(Member* member) {
        const std::lock_guard lock{mutex_};
        members_.erase(member);
    }
    void close_all() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        for (Member* member : members_) {
            member->close({grpc::StatusCode::UNAVAILABLE, "the broker is stopping"});
        }
    }

private:
    std::mutex mutex_;
    std::size_t most_;
    bool closed_ = false;
    std::set<Member*> members_;
};

template <typename Response>
class NewsStream final : public grpc::ServerWriteReactor<Response>, StreamSet::Member {
public:
    /// Where news is put; may outlive the stream.
    class Sink {
    public:
        void push(Response news) {
            const std::lock_guard lock{mutex_};
            if (stream_ != nullptr) {
                stream_->push(std::move(news));
            }
        }

    private:
        friend class NewsStream;
        std::mutex mutex_;
        NewsStream* stream_ = nullptr;
    };

    /// Deletes itself when gRPC is done with it. Without `subscribe` it only ends with `refusal`.
    NewsStream(std::shared_ptr<StreamSet> set, Duration repeat)
        : set_(std::move(set)), sink_(std::make_shared<Sink>()), repeat_(repeat) {
        sink_->stream_ = this;
    }

    std::shared_ptr<Sink> sink() const { return sink_; }

    void open(std::unique_ptr<Subscription> subscription) {
        const std::lock_guard lock{sink_->mutex_};
        subscription_ = std::move(subscription);
        arm();
    }
    bool join() { return set_->add(this); }
    void refuse(const grpc::Status& status) { close(status); }

private:
    // All of these with the sink's mutex held, but for gRPC's own calls, which take it.

    void push(Response news) {
        last_ = std::move(news);
        if (ending_) {
            return;
        }
        if (writing_) {
            waiting_ = true;
        } else {
            write();
        }
    }

    void write() {
        writing_ = true;
        waiting_ = false;
        current_ = *last_;
        this->StartWrite(&current_);
        arm();
    }

    void arm() {
        const auto at = std::chrono::system_clock::now() +
                        std::chrono::duration_cast<std::chrono::system_clock::duration>(repeat_);
        // The alarm that this replaces is cancelled, and says so to a sink without a wish.
        const std::uint64_t turn = ++turn_;
        silence_ = std::make_unique<grpc::Alarm>();
        silence_->Set(at, [sink = sink_, turn](bool passed) {
            const std::lock_guard lock{sink->mutex_};
            NewsStream* stream = sink->stream_;
            if (passed && stream != nullptr && stream->turn_ == turn) {
                stream->say_again();
            }
        });
    }

    void say_again() {
        if (last_ && !writing_ && !ending_) {
            write();
        }
    }

    void end(const grpc::Status& status) {
        if (ending_) {
            return;
        }
        ending_ = status;
        if (!writing_) {
            this->Finish(status);
        }
    }

    void close(const grpc::Status& status) override {
        const std::lock_guard lock{sink_->mutex_};
        end(status);
    }

    void OnWriteDone(bool ok) override {
        const std::lock_guard lock{sink_->mutex_};
        writing_ = false;
        if (ending_) {
            this->Finish(*ending_);
        } else if (!ok) {
            end({grpc::StatusCode::UNAVAILABLE, "the reader went away"});
        } else if (waiting_) {
            write();
        }
    }
    void OnCancel() override { close({grpc::StatusCode::CANCELLED, "the reader went away"}); }
    void OnDone() override {
        set_->remove(this);
        {
            const std::lock_guard lock{sink_->mutex_};
            sink_->stream_ = nullptr;
        }
        delete this;
    }

    std::shared_ptr<StreamSet> set_;
    std::shared_ptr<Sink> sink_;
    Duration repeat_;
    std::unique_ptr<Subscription> subscription_;
    std::unique_ptr<grpc::Alarm> silence_;
    std::uint64_t turn_ = 0;
    std::optional<Response> last_;
    Response current_;
    bool writing_ = false;
    bool waiting_ = false;
    std::optional<grpc::Status> ending_;
};

}  // namespace millrace::admin
