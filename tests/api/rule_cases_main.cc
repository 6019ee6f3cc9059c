// rule_cases CASES.yaml DIR: writes each case as manifests that kubectl takes:
// DIR/NN/{before,refused,accepted}.yaml, DIR/NN/says and DIR/NN/kind.
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <iterator>

#include "operator/api/kinds.h"
#include "operator/kube/yaml.h"

namespace {

using millrace::kube::Json;

void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
}

void write_object(const std::filesystem::path& path, const Json& one, const char* which,
                  const std::string& name = "case") {
    if (one[which].is_null()) {
        return;
    }
    Json object =
        Json::object({{"apiVersion", millrace::api::group_version}, {"kind", one["kind"].text()}});
    object["metadata"]["name"] = name;
    object["spec"] = one[which];
    write(path, millrace::api::to_yaml(object));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: rule_cases CASES.yaml DIR\n");
        return 2;
    }
    std::ifstream file(argv[1]);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto cases = millrace::kube::parse_yaml(text);
    if (!cases) {
        fmt::print(stderr, "{}: {}\n", argv[1], cases.error().message());
        return 1;
    }
    for (std::size_t i = 0; i < cases->size(); ++i) {
        const Json& one = (*cases)[i];
        const auto dir = std::filesystem::path(argv[2]) / fmt::format("{:02}", i);
        std::filesystem::create_directories(dir);
        write_object(dir / "before.yaml", one, "before");
        write_object(dir / "refused.yaml", one, "refused", one["name"].text_or("case"));
        write_object(dir / "accepted.yaml", one, "accepted");
        write(dir / "says", one["says"].text() + "\n");
        write(dir / "kind", one["kind"].text() + "\n");
    }
    return 0;
}
