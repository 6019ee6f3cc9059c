#include "mirror/internal/alterations.h"

#include <algorithm>
#include <map>
#include <set>

#include "metadata/link_mark.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::mirror {
namespace {

using protocol::IncrementalAlterConfigsRequest;
using protocol::IncrementalAlterConfigsResponse;

constexpr std::int16_t version = 1;
/// Each resource is a record or two: one request stays one small batch of the metadata log.
constexpr std::size_t most_together = 1000;
/// Entries that are joined into one value; a record has its limits.
constexpr std::size_t longest_value = 256 << 10;

const protocol::UnknownTag mark{.tag = metadata::link_tag, .data = {}};

Error refusal_of(const IncrementalAlterConfigsResponse::AlterConfigsResourceResponse& response) {
    const auto error = static_cast<KafkaError>(response.error_code);
    const Code kind = error == KafkaError::invalid_request || error == KafkaError::invalid_config
                          ? Code::invalid
                          : Code::unavailable;
    return Error::make(kind, "{}: {} {}", response.resource_name, error,
                       response.error_message.value_or(""));
}

}  // namespace

void OwnCluster::Alterations::add(Resource resource, std::vector<Change> changes, Done done) {
    if (!joined(resource, changes, done)) {
        auto& one = waiting_.emplace_back(Pending{std::move(resource), std::move(changes), {}});
        one.done.push_back(std::move(done));
    }
    send_soon();
}

/// Adds to a change that waits, if both only add to the same list.
bool OwnCluster::Alterations::joined(const Resource& resource, const std::vector<Change>& changes,
                                     Done& done) {
    const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(),
                                   [&](const Pending& one) { return one.resource == resource; });
    if (last == waiting_.rend() || last->changes.size() != 1 || changes.size() != 1) {
        return false;
    }
    Change& before = last->changes.front();
    const Change& more = changes.front();
    if (before.op != Op::append || more.op != Op::append || before.name != more.name ||
        before.value->size() + more.value->size() > longest_value) {
        return false;
    }
    before.value->append(",").append(*more.value);
    last->done.push_back(std::move(done));
    return true;
}

void OwnCluster::Alterations::send_soon() {
    if (is_armed_ || !in_flight_.empty() || waiting_.empty()) {
        return;
    }
    is_armed_ = true;
    // What else is asked for in this turn of the loop goes along.
    loop_.post([weak = weak_from_this()] {
        if (auto self = weak.lock()) {
            self->is_armed_ = false;
            self->send();
        }
    });
}

void OwnCluster::Alterations::send() {
    if (!in_flight_.empty() || waiting_.empty()) {
        return;
    }
    std::set<Resource> taken;
    std::vector<Pending> later;
    for (Pending& one : waiting_) {
        const bool fits = taken.size() < most_together && taken.insert(one.resource).second;
        (fits ? in_flight_ : later).push_back(std::move(one));
    }
    waiting_ = std::move(later);
    IncrementalAlterConfigsRequest request;
    for (const Pending& one : in_flight_) {
        auto& to = request.resources.emplace_back();
        to.resource_type = one.resource.first;
        to.resource_name = one.resource.second;
        to.unknown_tags.push_back(mark);
        for (const Change& change : one.changes) {
            auto& config = to.configs.emplace_back();
            config.name = change.name;
            config.config_operation = static_cast<std::int8_t>(change.op);
            config.value =
                change.value ? std::optional<std::string_view>(*change.value) : std::nullopt;
        }
    }
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, version);
    if (!writer.ok()) {
        on_answer(writer.error());
        return;
    }
    controller_.ask(IncrementalAlterConfigsRequest::api_key, version, std::move(body),
                    [weak = weak_from_this()](Result<Buffer> answer) {
                        if (auto self = weak.lock()) {
                            self->on_answer(std::move(answer));
                        }
                    });
}

void OwnCluster::Alterations::on_answer(Result<Buffer> answer) {
    std::map<Resource, Result<void>> outcomes;
    Result<void> all = Error(Code::unavailable, "the controller did not say what came of it");
    IncrementalAlterConfigsResponse response;
    if (!answer) {
        all = answer.error();
    } else {
        protocol::Reader reader(*answer);
        response.decode(reader, version);
        if (!reader.ok()) {
            all = reader.error();
        }
        for (const auto& one : response.responses) {
            const Resource resource{one.resource_type, std::string(one.resource_name)};
            outcomes.emplace(resource,
                             one.error_code == 0 ? Result<void>{} : Result<void>(refusal_of(one)));
        }
    }
    std::vector<Pending> answered = std::exchange(in_flight_, {});
    send_soon();
    for (Pending& one : answered) {
        const auto found = outcomes.find(one.resource);
        for (Done& done : one.done) {
            done(found == outcomes.end() ? all : found->second);
        }
    }
}

}  // namespace millrace::mirror
