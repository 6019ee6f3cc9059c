// What is checked in below crds/, helm/templates/crds/, deploy/ and docs/api.md follows from the
// descriptions.
#include <gtest/gtest.h>

#include "tests/unit/api/fixture.h"

namespace millrace::api {
namespace {

constexpr std::size_t most_bytes = 60'000;

TEST(Manifests, definitions_checked_in_are_what_api_manifests_writes) {
    for (const Kind& kind : kinds()) {
        const std::string name = kind.plural + ".yaml";
        const std::string text = read_text(source_dir / "crds" / name);
        EXPECT_EQ(text, definition_file(kind))
            << name << " is old: run build/debug/bin/api-manifests .";
        EXPECT_LT(text.size(), most_bytes) << name;
        EXPECT_EQ(read_text(source_dir / "helm/templates/crds" / name), chart_template(kind))
            << name << " is old: run build/debug/bin/api-manifests .";
    }
    EXPECT_EQ(read_text(source_dir / "docs/api.md"), reference_page())
        << "docs/api.md is old: run build/debug/bin/api-manifests .";
}

TEST(Manifests, what_is_written_as_yaml_reads_as_the_same_object) {
    for (const Kind& kind : kinds()) {
        const auto read = kube::parse_yaml(to_yaml(kind.crd));
        ASSERT_TRUE(read);
        ASSERT_EQ(read->size(), 1U);
        EXPECT_EQ(read->front().dump(), kind.crd.dump());
    }
}

TEST(Manifests, every_field_says_what_it_is) {
    const std::function<void(const Json&, const std::string&)> walk = [&](const Json& schema,
                                                                          const std::string& path) {
        for (const auto& [name, field] : schema["properties"].members()) {
            EXPECT_FALSE(field["description"].text().empty()) << path << name;
            walk(field, path + name + ".");
            walk(field["items"], path + name + "[].");
        }
    };
    for (const Kind& kind : kinds()) {
        const Json& schema = kind.crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(schema["properties"]["spec"], kind.name + ".spec.");
        walk(schema["properties"]["status"], kind.name + ".status.");
    }
}

/// Every object of a folder, accepted or with what was said.
void expect_accepted(const std::filesystem::path& folder) {
    std::size_t objects = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (file.path().extension() != ".yaml") {
            continue;
        }
        for (const Json& object : read_manifests(file.path())) {
            if (object["apiVersion"].text() != group_version) {
                continue;
            }
            ++objects;
            EXPECT_EQ(judged(kind_named(object["kind"].text()), object["spec"], Json()), "")
                << file.path();
        }
    }
    EXPECT_GT(objects, 0U) << folder;
}

TEST(Manifests, every_example_is_accepted) {
    expect_accepted(source_dir / "deploy/examples");
    expect_accepted(source_dir / "deploy/local");
}

}  // namespace
}  // namespace millrace::api
