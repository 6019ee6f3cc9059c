// Server-side apply: who owns which field.
#include <gmock/gmock.h>

#include "fixture.h"
#include "operator/local/internal/managed_fields.h"

namespace millrace::local {
namespace {

using testing::HasSubstr;

constexpr std::string_view head = "apiVersion: millrace.dev/v1\nkind: Cluster\n";

class Apply : public LocalApi {
protected:
    ApiResult<Json> apply(std::string_view spec, std::string manager, bool force = false) {
        return patch("clusters.millrace.dev", "main", PatchType::apply,
                     std::string(head) + "metadata: {name: main}\nspec: " + std::string(spec),
                     std::move(manager), force);
    }
};

TEST_F(Apply, creates_what_is_not_there_and_fills_in_defaults) {
    const auto made = apply("{storage: {size: 1Gi}}", "operator");
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)["spec"]["replicas"].integer(), 3);
}

TEST_F(Apply, of_the_same_again_writes_nothing) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}}", "operator").has_value());
    const std::uint64_t before = store.version();
    now = now + std::chrono::hours(1);
    ASSERT_TRUE(apply("{storage: {size: 1Gi}}", "operator").has_value());
    EXPECT_EQ(store.version(), before);
}

TEST_F(Apply, conflicts_with_another_owner_and_names_the_field) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, replicas: 3}", "alice").has_value());
    const auto refused = apply("{storage: {size: 1Gi}, replicas: 4}", "bob");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, 409);
    EXPECT_EQ(refused.error().message,
              "Apply failed with 1 conflict: conflict with \"alice\" using millrace.dev/v1: "
              ".spec.replicas");
}

TEST_F(Apply, takes_the_field_over_by_force) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, replicas: 3}", "alice").has_value());
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, replicas: 4}", "bob", true).has_value());
    EXPECT_FALSE(apply("{storage: {size: 1Gi}, replicas: 3}", "alice").has_value());
}

TEST_F(Apply, shares_a_field_on_whose_value_both_agree) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}}", "alice").has_value());
    EXPECT_TRUE(apply("{storage: {size: 1Gi}}", "bob").has_value());
}

TEST_F(Apply, removes_what_its_owner_no_longer_asks_for) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, config: {a: '1', b: '2'}}", "alice").has_value());
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, config: {b: '2'}}", "alice").has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["spec"]["config"], yaml("{b: '2'}"));
}

TEST_F(Apply, keeps_what_another_owner_still_asks_for) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, config: {a: '1'}}", "alice").has_value());
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, config: {a: '1'}}", "bob").has_value());
    ASSERT_TRUE(apply("{storage: {size: 1Gi}}", "alice").has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["spec"]["config"]["a"].text(), "1");
}

TEST_F(Apply, owns_items_of_keyed_lists_one_by_one) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, listeners: [{name: x, port: 1}]}", "a").has_value());
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, listeners: [{name: y, port: 2}]}", "b").has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["spec"]["listeners"].size(), 2u);
    ASSERT_TRUE(apply("{storage: {size: 1Gi}}", "a").has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["spec"]["listeners"],
              yaml("[{name: y, port: 2, tls: false}]"));
}

TEST_F(Apply, conflicts_with_a_field_that_an_update_changed) {
    ASSERT_TRUE(apply("{storage: {size: 1Gi}, replicas: 3}", "gitops").has_value());
    ASSERT_TRUE(patch("clusters.millrace.dev", "main", PatchType::merge, "{spec: {replicas: 5}}",
                      "kubectl-edit")
                    .has_value());
    const auto refused = apply("{storage: {size: 1Gi}, replicas: 3}", "gitops");
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("conflict with \"kubectl-edit\""));
}

TEST_F(Apply, refuses_a_field_that_the_schema_does_not_declare) {
    const auto refused = apply("{storage: {size: 1Gi, sise: 2}}", "alice");
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("unknown field \"spec.storage.sise\""));
}

TEST(ManagedFields, print_what_they_parsed) {
    const Json fields =
        yaml("{'f:spec': {'f:list': {'k:{\"name\":\"a\"}': {'.': {}, 'f:name': {}}}, 'f:x': {}}}");
    EXPECT_EQ(print_fields(parse_fields(fields)), fields);
}

}  // namespace
}  // namespace millrace::local
