// DescribeLogDirs: the log directories of this broker and what lies in them.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/gather.h"
#include "handlers/handlers.h"
#include "handlers/repeats.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"

namespace millrace::handlers {
namespace {

using protocol::DescribeLogDirsRequest;
using protocol::DescribeLogDirsResponse;
using View = replication::ShardReplicas::View;

using Held = std::map<std::string, std::map<std::string, std::vector<const View*>>>;

struct DescribedDirs {
    Call<DescribeLogDirsRequest, DescribeLogDirsResponse> call;
    std::vector<View> views;
};

/// What was asked for: all, or some partitions.
class Asked {
public:
    explicit Asked(const DescribeLogDirsRequest& request) : is_all_(!request.topics) {
        if (request.topics) {
            some_ = all_named(
                *request.topics, [](const auto& topic) { return topic.topic; },
                [](const auto& topic) -> auto& { return topic.partitions; });
        }
    }
    bool has(const View& view) const {
        return is_all_ ||
               std::binary_search(some_.begin(), some_.end(),
                                  Named<std::string_view>{.topic = view.topic,
                                                          .partition = view.id.partition.value});
    }

private:
    bool is_all_;
    std::vector<Named<std::string_view>> some_;
};

/// Copies on their way into a directory.
void add_coming(DescribeLogDirsResponse::DescribeLogDirsResult& to,
                const std::map<std::string, std::vector<const View*>>& topics) {
    for (const auto& [topic, views] : topics) {
        const auto known = std::find_if(to.topics.begin(), to.topics.end(),
                                        [&](const auto& one) { return one.name == topic; });
        auto& answer = known == to.topics.end() ? to.topics.emplace_back() : *known;
        answer.name = topic;
        for (const View* view : views) {
            answer.partitions.push_back(
                {.partition_index = view->id.partition.value,
                 .partition_size = static_cast<std::int64_t>(view->future->size_bytes),
                 .offset_lag = std::max<std::int64_t>(0, view->end - view->future->end),
                 .is_future_key = true});
        }
    }
}

void answer(const Doors& doors, DescribedDirs& progress) {
    Held by_directory;
    Held coming;
    const Asked asked(progress.call.request());
    for (const View& view : progress.views) {
        if (!view.directory_path.empty() && asked.has(view)) {
            by_directory[view.directory_path][view.topic].push_back(&view);
            if (view.future) {
                coming[view.future->directory_path][view.topic].push_back(&view);
            }
        }
    }
    const std::vector<LogDirectoryView> directories = doors.log_directories();
    DescribeLogDirsResponse response;
    for (const LogDirectoryView& directory : directories) {
        auto& to = response.results.emplace_back();
        to.log_dir = directory.path;
        to.error_code = code_of(directory.error);
        to.total_bytes = directory.total_bytes;
        to.usable_bytes = directory.usable_bytes;
        to.is_cordoned = directory.is_cordoned;
        for (const auto& [topic, views] : by_directory[directory.path]) {
            auto& topic_answer = to.topics.emplace_back();
            topic_answer.name = topic;
            for (const View* view : views) {
                topic_answer.partitions.push_back(
                    {.partition_index = view->id.partition.value,
                     .partition_size = static_cast<std::int64_t>(view->size_bytes),
                     .offset_lag = view->is_leader ? 0
                                                   : std::max<std::int64_t>(
                                                         0, view->high_watermark - view->end),
                     .is_future_key = false});
            }
        }
        add_coming(to, coming[directory.path]);
    }
    progress.call.answer(response);
}

}  // namespace

void describe_log_dirs(const Doors& doors,
                       Call<DescribeLogDirsRequest, DescribeLogDirsResponse> call) {
    auto progress = std::make_shared<DescribedDirs>(DescribedDirs{std::move(call), {}});
    runtime::Executor& home = progress->call.home();
    auto gather =
        Gather::of(doors.replicas->size() + 1, [&doors, progress] { answer(doors, *progress); });
    for (std::size_t shard = 0; shard < doors.replicas->size(); ++shard) {
        doors.replicas->on_shard(
            shard, [progress, gather, &home](replication::ShardReplicas& replicas) {
                run_on(home, [progress, gather, views = replicas.views()] {
                    progress->views.insert(progress->views.end(), views.begin(), views.end());
                    gather->arrive();
                });
            });
    }
    gather->arrive();
}

}  // namespace millrace::handlers
