// Watches, lists, selectors and what survives a crash.
#include <fstream>
#include <gmock/gmock.h>
#include <unistd.h>

#include "fixture.h"
#include "operator/local/internal/journal.h"
#include "operator/local/internal/protobuf_body.h"
#include "operator/local/internal/text.h"

namespace millrace::local {
namespace {

using testing::HasSubstr;
using testing::Not;

class Watch : public LocalApi {
protected:
    void create_map(const std::string& name, const std::string& label = "x") {
        ASSERT_TRUE(create("configmaps", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " +
                                             name + ", labels: {l: " + label + "}}")
                        .has_value());
    }
    Reply watch(const std::string& query) {
        return api.handle(
            make_request("GET", "/api/v1/namespaces/default/configmaps?watch=1&" + query));
    }
    std::string first(const std::string& query) { return std::get<WatchStart>(watch(query)).first; }
};

TEST_F(Watch, from_a_version_sends_what_happened_since) {
    create_map("old");
    const std::string version = std::to_string(store.version());
    create_map("new");
    ASSERT_TRUE(erase("configmaps", "old").has_value());
    const std::string lines = first("resourceVersion=" + version);
    EXPECT_THAT(lines, HasSubstr("\"type\":\"ADDED\""));
    EXPECT_THAT(lines, HasSubstr("\"type\":\"DELETED\""));
    EXPECT_THAT(lines, Not(HasSubstr("\"type\":\"MODIFIED\"")));
}

TEST_F(Watch, from_nothing_sends_what_is_there_and_marks_the_end) {
    create_map("a");
    const std::string lines = first("sendInitialEvents=true&allowWatchBookmarks=true");
    EXPECT_THAT(lines, HasSubstr("\"type\":\"ADDED\""));
    EXPECT_THAT(lines, HasSubstr("k8s.io/initial-events-end"));
}

TEST_F(Watch, sees_an_object_enter_and_leave_its_selector) {
    create_map("a", "other");
    const auto start = std::get<WatchStart>(watch("labelSelector=l%3Dx"));
    EXPECT_EQ(start.first, "");
    std::vector<std::string> lines;
    store.on_change([&](const Change& change) {
        lines.push_back(api.watch_line(start, change, false).value_or(""));
    });
    ASSERT_TRUE(
        patch("configmaps", "a", PatchType::merge, "{metadata: {labels: {l: x}}}").has_value());
    ASSERT_TRUE(
        patch("configmaps", "a", PatchType::merge, "{metadata: {labels: {l: y}}}").has_value());
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[0], HasSubstr("\"type\":\"ADDED\""));
    EXPECT_THAT(lines[1], HasSubstr("\"type\":\"DELETED\""));
}

TEST(StoreHistory, that_is_forgotten_is_told_apart_from_an_empty_one) {
    Store store(2);
    for (int i = 0; i < 4; ++i) {
        store.put({"x", "", std::to_string(i)}, Json::object({}));
    }
    EXPECT_TRUE(store.since(store.version())->empty());
    EXPECT_EQ(store.since(store.version() - 2)->size(), 2u);
    EXPECT_FALSE(store.since(store.version() - 3).has_value());
}

TEST_F(Watch, from_a_forgotten_past_is_410) {
    for (int i = 0; i < 11000; ++i) {
        store.put({"x", "", "y"}, Json::object({}));
    }
    EXPECT_EQ(std::get<Response>(watch("resourceVersion=2")).code, 410);
}

TEST_F(Watch, a_long_list_comes_in_pieces) {
    for (const char* name : {"a", "b", "c"}) {
        create_map(name);
    }
    const std::string path = "/api/v1/namespaces/default/configmaps?limit=2";
    const Json head = *Json::parse(call("GET", path).body);
    EXPECT_EQ(head["items"].size(), 2u);
    EXPECT_EQ(head["metadata"]["remainingItemCount"].integer(), 1);
    const Json rest =
        *Json::parse(call("GET", path + "&continue=" + head["metadata"]["continue"].text()).body);
    EXPECT_EQ(rest["items"][0]["metadata"]["name"].text(), "c");
    EXPECT_FALSE(rest["metadata"].has("continue"));
}

TEST(Selectors, match_labels_as_the_api_spells_them) {
    const Json labels = yaml("{app: x, tier: back}");
    for (const char* text :
         {"app=x", "app==x,tier!=front", "app in (x,y)", "tier notin (front)", "app,!gone", ""}) {
        EXPECT_TRUE(LabelSelector::parse(text)->matches(labels)) << text;
    }
    for (const char* text : {"app=y", "app!=x", "gone", "!app", "app in (y,z)"}) {
        EXPECT_FALSE(LabelSelector::parse(text)->matches(labels)) << text;
    }
    EXPECT_FALSE(LabelSelector::parse("a b=c").has_value());
}

TEST(Selectors, refuse_a_field_that_can_not_be_selected) {
    EXPECT_FALSE(FieldSelector::parse("spec.secret=x", "v1", {}).has_value());
    EXPECT_TRUE(FieldSelector::parse("spec.nodeName=,status.phase!=Failed", "v1", {})
                    ->matches(yaml("{status: {phase: Running}}")));
}

TEST(HumanDuration, is_what_kubectl_shows) {
    EXPECT_EQ(human_duration(45s), "45s");
    EXPECT_EQ(human_duration(200s), "3m20s");
    EXPECT_EQ(human_duration(7h + 5min), "7h5m");
    EXPECT_EQ(human_duration(std::chrono::hours(24 * 12)), "12d");
}

TEST(ProtobufBody, reads_what_create_sends_and_refuses_what_is_cut_short) {
    const std::string body(
        "k8s\0\x0a\x0f\x0a\x02v1\x12\x09"
        "ConfigMap\x12\x10\x0a\x06\x0a\x04"
        "name\x12\x06\x0a\x01"
        "a\x12\x01"
        "b",
        39);
    const auto object = parse_kubernetes_protobuf(body);
    ASSERT_TRUE(object.has_value()) << object.error().message();
    EXPECT_EQ((*object)["metadata"]["name"].text(), "name");
    EXPECT_EQ((*object)["data"]["a"].text(), "b");
    for (std::size_t size = 1; size < body.size(); ++size) {
        const auto cut = parse_kubernetes_protobuf(std::string_view(body).substr(0, size));
        EXPECT_FALSE(cut.has_value() && (*cut)["data"]["a"].text() == "b") << size;
    }
}

class OnDisk : public testing::Test {
protected:
    OnDisk() : dir(testing::TempDir() + "/local-journal-" + std::to_string(::getpid())) {
        std::filesystem::remove_all(dir);
    }
    ~OnDisk() override { std::filesystem::remove_all(dir); }

    void write(int count) {
        Store store;
        auto journal = *Journal::open(dir, store);
        store.on_change([&](const Change& change) { ASSERT_TRUE(journal->append(change)); });
        for (int i = 0; i < count; ++i) {
            store.put({"x", "ns", std::to_string(i)}, Json::object({{"value", i}}));
        }
        store.remove({"x", "ns", "0"});
    }
    Result<std::size_t> read() {
        Store store;
        MR_TRY(const auto journal, Journal::open(dir, store));
        return store.all().size();
    }

    const std::filesystem::path dir;
};

TEST_F(OnDisk, objects_and_versions_come_back) {
    write(5);
    Store store;
    ASSERT_TRUE(Journal::open(dir, store).has_value());
    EXPECT_EQ(store.all().size(), 4u);
    EXPECT_EQ(store.version(), 7u);
}

TEST_F(OnDisk, a_torn_tail_at_any_byte_loses_the_torn_record_only) {
    write(3);
    const std::string whole = *read_file(dir / "journal");
    std::size_t before = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        std::ofstream(dir / "journal", std::ios::binary | std::ios::trunc) << whole.substr(0, size);
        const auto count = read();
        ASSERT_TRUE(count.has_value()) << size;
        before = std::max(before, *count);
    }
    EXPECT_EQ(before, 3u);
    EXPECT_EQ(*read(), 2u);
}

TEST_F(OnDisk, damage_before_the_tail_stops_the_start) {
    write(3);
    std::string whole = *read_file(dir / "journal");
    whole[12] = static_cast<char>(whole[12] ^ 1);
    std::ofstream(dir / "journal", std::ios::binary | std::ios::trunc) << whole;
    ASSERT_FALSE(read().has_value());
    EXPECT_EQ(read().error().code(), Code::corrupt);
}

TEST_F(OnDisk, a_snapshot_takes_the_journals_place) {
    {
        Store store;
        auto journal = *Journal::open(dir, store);
        store.on_change([&](const Change& change) { ASSERT_TRUE(journal->append(change)); });
        const std::string large(1 << 20, 'x');
        for (int i = 0; i < 12; ++i) {
            store.put({"x", "ns", std::to_string(i % 3)}, Json::object({{"value", large}}));
        }
        ASSERT_TRUE(journal->compact_if_large(store).has_value());
        store.put({"x", "ns", "later"}, Json::object({}));
    }
    EXPECT_LT(std::filesystem::file_size(dir / "journal"), 1000u);
    Store store;
    ASSERT_TRUE(Journal::open(dir, store).has_value());
    EXPECT_EQ(store.all().size(), 4u);
    EXPECT_EQ(store.version(), 14u);
}

}  // namespace
}  // namespace millrace::local
