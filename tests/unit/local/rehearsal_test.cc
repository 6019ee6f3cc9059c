#include "operator/local/rehearsal.h"

#include <gmock/gmock.h>

#include "tests/unit/local/fixture.h"

namespace millrace::local {
namespace {

using testing::HasSubstr;

Result<void> rehearsed(std::string_view text) {
    return rehearse({yaml(*read_file(MILLRACE_SOURCE_DIR "/tests/local/crds/clusters.yaml"))}, {},
                    {yaml(text)});
}

std::string said(std::string_view text) {
    const auto outcome = rehearsed(text);
    return outcome ? "" : outcome.error().message();
}

TEST(Rehearsal, what_the_api_server_would_take_is_fine) {
    EXPECT_EQ(said("apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: main, namespace: "
                   "far}\nspec: {replicas: 3, storage: {size: 1Gi}}"),
              "");
    EXPECT_EQ(said("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}"), "");
}

TEST(Rehearsal, an_unknown_field_is_named_with_the_nearest_known_one) {
    EXPECT_EQ(said("apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: main}\nspec: "
                   "{replicas: 3, storge: {size: 1Gi}}"),
              "Cluster main: unknown field \"spec.storge\"; did you mean storage?");
    EXPECT_EQ(said("apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: main}\nspec: "
                   "{replicas: 3, zzzzzz: 1, storage: {sise: 1Gi}}"),
              "Cluster main: unknown field \"spec.storage.sise\"; did you mean size?, unknown "
              "field \"spec.zzzzzz\"");
}

TEST(Rehearsal, what_the_schema_forbids_is_told_as_the_api_server_does) {
    EXPECT_THAT(said("apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: main}\nspec: "
                     "{replicas: 0, storage: {size: 1Gi}}"),
                HasSubstr("spec.replicas in body should be greater than or equal to 1"));
    EXPECT_THAT(said("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"), HasSubstr("name"));
    EXPECT_THAT(said("apiVersion: x/v1\nkind: Thing\nmetadata: {name: a}\n"),
                HasSubstr("no kind Thing in x/v1"));
}

}  // namespace
}  // namespace millrace::local
