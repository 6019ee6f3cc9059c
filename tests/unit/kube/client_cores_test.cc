// The pure parts of the API client: caches, the work queue, leadership, lines of a watch.
#include <gmock/gmock.h>

#include "operator/kube/base64.h"
#include "operator/kube/cache.h"
#include "operator/kube/election.h"
#include "operator/kube/event_recorder.h"
#include "operator/kube/informer.h"
#include "operator/kube/internal/wire.h"
#include "operator/kube/work_queue.h"

namespace millrace::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Json object(const std::string& name, int version, const std::string& uid = "u") {
    Json json = Json(Json::Object{});
    json["metadata"] = Json::object({{"name", name},
                                     {"namespace", "default"},
                                     {"uid", uid},
                                     {"resourceVersion", std::to_string(version)},
                                     {"managedFields", Json::array({1, 2})}});
    return json;
}
const ObjectKey a{"default", "a"};

Instant at(Duration since_start) {
    return Instant{1} + since_start;
}

TEST(ObjectCache, older_news_never_replaces_newer) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    EXPECT_THAT(cache.take(Change::modified, object("a", 4)), IsEmpty());
    EXPECT_EQ((*cache.get(a))["metadata"]["resourceVersion"].text(), "5");
}

TEST(ObjectCache, a_writer_reads_what_it_wrote_at_once) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.note_written(object("a", 7));
    EXPECT_EQ((*cache.get(a))["metadata"]["resourceVersion"].text(), "7");
}

// Whoever waits for the effect of a write is woken by it, whether its answer or its event came
// first: else a round that ends with a write would be the last one.
TEST(ObjectCache, a_write_is_told_once_by_the_watch_even_if_its_answer_came_first) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.note_written(object("a", 6));
    cache.note_written(object("a", 7));
    EXPECT_THAT(cache.take(Change::modified, object("a", 6)), IsEmpty());
    const auto told = cache.take(Change::modified, object("a", 7));
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ((*told[0].before)["metadata"]["resourceVersion"].text(), "5");
    EXPECT_EQ((*told[0].now)["metadata"]["resourceVersion"].text(), "7");
    EXPECT_THAT(cache.take(Change::modified, object("a", 7)), IsEmpty());
}

TEST(ObjectCache, an_answer_after_its_event_is_told_no_more) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    EXPECT_THAT(cache.take(Change::modified, object("a", 6)), SizeIs(1));
    cache.note_written(object("a", 6));
    EXPECT_THAT(cache.take(Change::modified, object("a", 6)), IsEmpty());
}

TEST(ObjectCache, a_write_is_told_by_a_list_in_the_watchs_place) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.note_written(object("a", 6));
    const auto told = cache.replace_all({{object("a", 6)}, "8"});
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ((*told[0].before)["metadata"]["resourceVersion"].text(), "5");
}

TEST(ObjectCache, what_we_took_away_is_told_once_too) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.forget(a, "u");
    EXPECT_EQ(cache.get(a), nullptr);
    EXPECT_THAT(cache.take(Change::deleted, object("a", 6)), SizeIs(1));
    EXPECT_THAT(cache.take(Change::deleted, object("a", 6)), IsEmpty());
}

TEST(ObjectCache, an_answer_that_arrives_after_the_deletion_brings_nothing_back) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.take(Change::deleted, object("a", 9));
    cache.note_written(object("a", 7));
    EXPECT_EQ(cache.get(a), nullptr);
}

TEST(ObjectCache, the_deletion_of_an_earlier_object_leaves_its_successor) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 9, "new"));
    EXPECT_THAT(cache.take(Change::deleted, object("a", 10, "old")), IsEmpty());
    EXPECT_NE(cache.get(a), nullptr);
}

TEST(ObjectCache, a_list_tells_what_came_changed_and_went) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    cache.take(Change::added, object("b", 6));
    const auto changes = cache.replace_all({{object("b", 8), object("c", 9)}, "10"});
    ASSERT_THAT(changes, SizeIs(3));
    EXPECT_EQ(cache.get(a), nullptr);
    EXPECT_EQ(cache.version(), "10");
}

TEST(ObjectCache, a_list_older_than_our_write_keeps_what_we_wrote) {
    ObjectCache cache;
    cache.replace_all({{}, "10"});
    cache.note_written(object("a", 12));
    cache.replace_all({{}, "11"});
    EXPECT_NE(cache.get(a), nullptr);
}

Json in_space(const std::string& space, const std::string& name, int version) {
    Json json = object(name, version);
    json["metadata"]["namespace"] = space;
    return json;
}

// Namespaces that are followed one by one: the list of one says nothing about another.
TEST(ObjectCache, each_namespace_is_listed_for_itself) {
    ObjectCache cache;
    cache.replace_all({{in_space("x", "a", 5)}, "10"}, "x");
    cache.replace_all({{in_space("y", "b", 6), in_space("y", "c", 7)}, "20"}, "y");
    EXPECT_EQ(cache.version("x"), "10");
    EXPECT_EQ(cache.version("y"), "20");
    cache.take(Change::bookmark, in_space("x", "", 30), "x");
    EXPECT_EQ(cache.version("x"), "30");
    EXPECT_EQ(cache.version("y"), "20");

    const auto gone = cache.replace_all({{in_space("y", "b", 6)}, "40"}, "y");
    EXPECT_THAT(gone, SizeIs(1));
    EXPECT_NE(cache.get({"x", "a"}), nullptr);
    EXPECT_EQ(cache.get({"y", "c"}), nullptr);
}

TEST(ObjectCache, what_was_written_is_old_news_by_its_own_namespace_alone) {
    ObjectCache cache;
    cache.replace_all({{}, "10"}, "x");
    cache.replace_all({{}, "50"}, "y");
    cache.note_written(in_space("x", "a", 20));  // The watch of y is further on.
    EXPECT_NE(cache.get({"x", "a"}), nullptr);
    cache.note_written(in_space("y", "b", 40));
    EXPECT_EQ(cache.get({"y", "b"}), nullptr) << "deleted since, as its watch has said";
    cache.forget({"x", "a"}, "u");
    EXPECT_THAT(cache.replace_all({{}, "60"}, "y"), IsEmpty());
    EXPECT_THAT(cache.replace_all({{}, "60"}, "x"), SizeIs(1)) << "forgotten, and told now";
}

TEST(ObjectCache, what_nobody_reads_is_not_kept) {
    ObjectCache cache;
    cache.take(Change::added, object("a", 5));
    EXPECT_FALSE((*cache.get(a))["metadata"].has("managedFields"));
}

TEST(ObjectCache, a_kind_of_many_is_kept_as_text_and_read_group_by_group) {
    ObjectCache cache([](const Json& json) { return json["spec"]["of"].text(); });
    for (const char* name : {"a", "b", "c"}) {
        Json json = object(name, 5);
        json["spec"]["of"] = name[0] == 'b' ? "second" : "first";
        json["spec"]["text"] = "\"quoted\" \u00e4";
        cache.take(Change::added, std::move(json));
    }
    std::vector<std::string> seen;
    cache.look_at_group("first", [&](const Json& json) {
        seen.push_back(json["metadata"]["name"].text());
        EXPECT_EQ(json["spec"]["text"].text(), "\"quoted\" \u00e4");
        EXPECT_FALSE(json["metadata"].has("managedFields"));
    });
    EXPECT_THAT(seen, ElementsAre("a", "c"));

    Json moved = object("a", 6);
    moved["spec"]["of"] = "second";
    const auto told = cache.take(Change::modified, std::move(moved));
    ASSERT_THAT(told, SizeIs(1));
    EXPECT_EQ((*told[0].before)["spec"]["of"].text(), "first");
    EXPECT_EQ((*cache.get(a))["spec"]["of"].text(), "second");
}

TEST(WorkQueueCore, a_key_waits_once_however_often_it_is_added) {
    WorkQueueCore queue;
    queue.add("x", at(0s));
    queue.add("x", at(0s));
    EXPECT_EQ(queue.take(at(0s)), "x");
    EXPECT_EQ(queue.take(at(0s)), std::nullopt);
}

TEST(WorkQueueCore, a_key_that_is_worked_on_comes_again_afterwards) {
    WorkQueueCore queue;
    queue.add("x", at(0s));
    queue.take(at(0s));
    queue.add("x", at(0s));
    EXPECT_EQ(queue.take(at(0s)), std::nullopt);
    queue.done("x", at(0s), std::nullopt);
    EXPECT_EQ(queue.take(at(0s)), "x");
}

TEST(WorkQueueCore, a_failing_key_waits_longer_each_time_and_news_end_the_wait) {
    WorkQueueCore queue;
    queue.add("x", at(0s));
    Duration wait{0};
    Instant now = at(0s);
    for (int i = 0; i < 5; ++i) {
        ASSERT_EQ(queue.take(now), "x");
        queue.failed("x", now);
        ASSERT_GT(queue.next_due() - now, wait);
        wait = queue.next_due() - now;
        now = queue.next_due();
    }
    ASSERT_EQ(queue.take(now), "x");
    queue.failed("x", now);
    EXPECT_EQ(queue.take(now), std::nullopt);
    queue.add("x", now);
    EXPECT_EQ(queue.take(now), "x");
}

TEST(WorkQueueCore, no_wait_is_longer_than_half_a_minute) {
    WorkQueueCore queue;
    for (int i = 0; i < 40; ++i) {
        queue.add("x", at(0s));
        queue.take(at(0s));
        queue.failed("x", at(0s));
    }
    EXPECT_LE(queue.next_due() - at(0s), 30s);
}

TEST(WorkQueueCore, a_later_look_happens_when_it_is_due) {
    WorkQueueCore queue;
    queue.add("x", at(0s));
    queue.take(at(0s));
    queue.done("x", at(0s), Duration(5s));
    EXPECT_EQ(queue.take(at(4s)), std::nullopt);
    EXPECT_EQ(queue.take(at(5s)), "x");
}

ElectionOptions me(const char* identity) {
    ElectionOptions options;
    options.lease = {"default", "operator"};
    options.identity = identity;
    return options;
}

TEST(ElectionCore, a_lease_that_nobody_has_is_taken) {
    ElectionCore core(me("one"));
    const auto lease = core.step(nullptr, at(0s), {});
    ASSERT_TRUE(lease);
    EXPECT_EQ((*lease)["spec"]["holderIdentity"].text(), "one");
}

TEST(ElectionCore, a_renewed_lease_is_anothers_and_one_that_stood_still_is_free) {
    ElectionCore one(me("one"));
    ElectionCore two(me("two"));
    Json lease = *one.step(nullptr, at(0s), {0});
    EXPECT_FALSE(two.step(&lease, at(0s), {0}));
    lease = *one.step(&lease, at(10s), {10'000});
    EXPECT_FALSE(two.step(&lease, at(16s), {16'000}));
    EXPECT_FALSE(two.step(&lease, at(30s), {30'000}));
    EXPECT_TRUE(two.step(&lease, at(31s), {31'000})) << "15 s after it was seen to change";
}

TEST(ElectionCore, a_wrong_clock_of_the_holder_takes_nothing_from_it) {
    ElectionCore one(me("one"));
    ElectionCore two(me("two"));
    Json lease = *one.step(nullptr, at(0s), {0});  // Its wall clock says 1970.
    EXPECT_FALSE(two.step(&lease, at(0s), {1'700'000'000'000}));
}

TEST(ElectionCore, who_cant_renew_stops_leading_before_another_may_begin) {
    const ElectionOptions options = me("one");
    ElectionCore core(options);
    core.written(at(0s));
    EXPECT_TRUE(core.leads(at(9s)));
    EXPECT_FALSE(core.leads(at(10s)));
    EXPECT_LT(options.renew_within, options.length);
}

TEST(InformerCore, a_forgotten_version_makes_it_list_anew_at_once) {
    InformerCore core;
    core.listed({});
    EXPECT_EQ(core.next(), InformerCore::Next::watch);
    core.watched(Error(Code::closed, "too old"));
    EXPECT_EQ(core.next(), InformerCore::Next::list);
    EXPECT_EQ(core.pause(), Duration{0});
}

TEST(InformerCore, an_unreachable_server_is_asked_less_and_less_often) {
    InformerCore core;
    core.listed(Error(Code::unavailable, "down"));
    const Duration first = core.pause();
    core.listed(Error(Code::unavailable, "down"));
    EXPECT_GT(core.pause(), first);
    for (int i = 0; i < 30; ++i) {
        core.listed(Error(Code::unavailable, "down"));
    }
    EXPECT_LE(core.pause(), 15s);
}

TEST(Wire, kinds_have_the_paths_that_kubernetes_gives_them) {
    EXPECT_EQ(object_path(pods, {"x", "y"}), "/api/v1/namespaces/x/pods/y");
    EXPECT_EQ(collection_path(leases, "x"), "/apis/coordination.k8s.io/v1/namespaces/x/leases");
    EXPECT_EQ(collection_path(pods, ""), "/api/v1/pods");
    EXPECT_EQ(object_path(nodes, {"", "n"}), "/api/v1/nodes/n");
}

// A new operator lists what an older one applied; without this it applied everything again, for
// ever.
TEST(Wire, an_item_of_a_list_is_like_the_object_alone) {
    Json alone = object("a", 5);
    alone["apiVersion"] = "v1";
    alone["kind"] = "Service";
    Json item = object("a", 5);
    complete_item(services, item);
    EXPECT_EQ(item, alone);
}

TEST(Wire, refusals_become_codes_to_act_on) {
    const auto status = [](const char* reason) {
        return Json::object({{"kind", "Status"}, {"reason", reason}, {"message", "m"}}).dump();
    };
    EXPECT_EQ(error_of("POST", "/x", 409, status("AlreadyExists")).code(), Code::exists);
    EXPECT_EQ(error_of("PUT", "/x", 409, status("Conflict")).code(), Code::fenced);
    EXPECT_EQ(error_of("GET", "/x", 410, status("Expired")).code(), Code::closed);
    EXPECT_EQ(error_of("GET", "/x", 429, status("TooManyRequests")).code(), Code::busy);
    EXPECT_EQ(error_of("GET", "/x?a=b", 503, "<html>").message(), "GET /x: HTTP 503");
}

TEST(Wire, a_watch_that_ends_with_an_error_object_says_which) {
    const auto line = parse_watch_line(
        R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})");
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error().code(), Code::closed);
    EXPECT_THAT(line.error().message(), HasSubstr("too old"));
}

TEST(Wire, lines_are_found_wherever_the_stream_was_cut) {
    const std::string stream = "{\"a\":1}\n{\"b\":2}\n";
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        LineSplitter lines;
        std::vector<std::string> found;
        for (const std::string& part : {stream.substr(0, cut), stream.substr(cut)}) {
            lines.add(part);
            while (auto line = lines.next()) {
                found.push_back(*line);
            }
        }
        ASSERT_THAT(found, ElementsAre("{\"a\":1}", "{\"b\":2}")) << cut;
    }
}

TEST(Base64, what_is_written_reads_back) {
    const std::vector<std::string> texts = {"", "a", "ab", "abc", "abcd", {"\0\xff\x10", 3}};
    for (const std::string& bytes : texts) {
        EXPECT_EQ(*from_base64(to_base64(bytes)), bytes);
    }
    EXPECT_EQ(to_base64("millrace"), "bWlsbHJhY2U=");
    EXPECT_FALSE(from_base64("abc"));
    EXPECT_FALSE(from_base64("!!!!"));
}

constexpr auto done = EventType::normal;

TEST(EventTally, what_was_done_again_is_counted_up_once_in_ten_seconds) {
    EventTally tally;
    EXPECT_TRUE(tally.is_news("created", a, done, at(0s), {1}));
    EXPECT_FALSE(tally.is_news("created", {"default", "b"}, done, at(3s), {4}));
    EXPECT_FALSE(tally.is_news("created", {"default", "c"}, done, at(5s), {6}));
    EXPECT_THAT(tally.due(at(9s)), IsEmpty());
    EXPECT_EQ(tally.next_due(), at(10s));
    const auto counted = tally.due(at(10s));
    ASSERT_THAT(counted, SizeIs(1));
    EXPECT_EQ(counted[0].event, a);  // That of the first time.
    EXPECT_EQ(counted[0].count, 3);
    EXPECT_EQ(counted[0].last, (Timestamp{6}));
    EXPECT_THAT(tally.due(at(60s)), IsEmpty());
    EXPECT_EQ(tally.next_due(), std::nullopt);
}

TEST(EventTally, what_lasts_is_told_once_in_ten_minutes) {
    EventTally tally;
    EXPECT_TRUE(tally.is_news("no room", a, EventType::warning, at(0s), {1}));
    EXPECT_FALSE(tally.is_news("no room", a, EventType::warning, at(599s), {2}));
    EXPECT_EQ(tally.next_due(), std::nullopt);
    EXPECT_TRUE(tally.is_news("no room", a, EventType::warning, at(601s), {3}));
}

TEST(EventTally, an_event_that_is_gone_is_made_anew) {
    EventTally tally;
    EXPECT_TRUE(tally.is_news("created", a, done, at(0s), {1}));
    tally.forget("created");
    EXPECT_TRUE(tally.is_news("created", a, done, at(1s), {2}));
}

}  // namespace
}  // namespace millrace::kube
