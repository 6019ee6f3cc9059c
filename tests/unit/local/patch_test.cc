#include "operator/local/internal/patch.h"

#include "fixture.h"

namespace millrace::local {
namespace {

TEST(MergePatch, null_removes_and_objects_merge) {
    EXPECT_EQ(merge_patch(yaml("{a: {b: 1, c: 2}, l: [1, 2]}"), yaml("{a: {b: null}, l: [3]}")),
              yaml("{a: {c: 2}, l: [3]}"));
}

TEST(JsonPatch, applies_its_operations_in_order) {
    const auto patched = json_patch(
        yaml("{a: [1, 3], b: x}"),
        yaml("[{op: add, path: /a/1, value: 2}, {op: add, path: /a/-, value: 4}, {op: move, from: "
             "/b, path: /c~1d}, {op: test, path: /a/0, value: 1}, {op: remove, path: /a/0}]"));
    ASSERT_TRUE(patched.has_value());
    EXPECT_EQ(*patched, yaml("{a: [2, 3, 4], c/d: x}"));
}

TEST(JsonPatch, refuses_a_failed_test_and_a_path_that_is_not_there) {
    EXPECT_EQ(json_patch(yaml("{a: 1}"), yaml("[{op: test, path: /a, value: 2}]")).error().code,
              422);
    EXPECT_EQ(json_patch(yaml("{a: 1}"), yaml("[{op: remove, path: /b/c}]")).error().code, 422);
    EXPECT_EQ(json_patch(yaml("{a: []}"), yaml("[{op: add, path: /a/7, value: 1}]")).error().code,
              422);
}

class StrategicMerge : public LocalApi {
protected:
    Json merge(std::string_view target, std::string_view change) {
        return *strategic_merge(kinds.schemas(), kinds.schema(kind("pods")), yaml(target),
                                yaml(change));
    }
};

TEST_F(StrategicMerge, finds_items_of_keyed_lists_by_their_key) {
    EXPECT_EQ(merge("{spec: {containers: [{name: a, image: x}, {name: b, image: y}]}}",
                    "{spec: {containers: [{name: b, image: z}, {name: c}]}}"),
              yaml("{spec: {containers: [{name: a, image: x}, {name: b, image: z}, {name: c}]}}"));
}

TEST_F(StrategicMerge, replaces_lists_without_a_key) {
    EXPECT_EQ(merge("{spec: {containers: [{name: a, args: [x, y]}]}}",
                    "{spec: {containers: [{name: a, args: [z]}]}}"),
              yaml("{spec: {containers: [{name: a, args: [z]}]}}"));
}

TEST_F(StrategicMerge, obeys_its_directives) {
    EXPECT_EQ(merge("{spec: {containers: [{name: a}, {name: b}]}}",
                    "{spec: {containers: [{name: a, $patch: delete}]}}"),
              yaml("{spec: {containers: [{name: b}]}}"));
    EXPECT_EQ(merge("{spec: {containers: [{name: a}, {name: b}]}}",
                    "{spec: {containers: [{$patch: replace}, {name: c}]}}"),
              yaml("{spec: {containers: [{name: c}]}}"));
    EXPECT_EQ(merge("{metadata: {finalizers: [x, y]}}",
                    "{metadata: {$deleteFromPrimitiveList/finalizers: [x]}}"),
              yaml("{metadata: {finalizers: [y]}}"));
    EXPECT_EQ(merge("{spec: {containers: [{name: a}, {name: b}]}}",
                    "{spec: {$setElementOrder/containers: [{name: b}, {name: a}]}}"),
              yaml("{spec: {containers: [{name: b}, {name: a}]}}"));
    EXPECT_EQ(merge("{spec: {nodeName: x, hostname: y}}",
                    "{spec: {$retainKeys: [hostname], hostname: z}}"),
              yaml("{spec: {hostname: z}}"));
}

}  // namespace
}  // namespace millrace::local
