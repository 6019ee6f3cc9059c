// api-manifests DIR: writes what is drawn from the descriptions below DIR, the top of the sources.
#include <filesystem>
#include <fmt/core.h>
#include <fstream>

#include "operator/api/kinds.h"

namespace {

bool write(const std::filesystem::path& path, const std::string& text) {
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) {
        fmt::print(stderr, "api-manifests: {} can't be written\n", path.string());
        return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: api-manifests DIR\n");
        return 2;
    }
    const std::filesystem::path top = argv[1];
    bool written = write(top / "docs/api.md", millrace::api::reference_page());
    for (const millrace::api::Kind& kind : millrace::api::kinds()) {
        const std::string name = kind.plural + ".yaml";
        written = write(top / "crds" / name, millrace::api::definition_file(kind)) && written;
        written = write(top / "helm/templates/crds" / name, millrace::api::chart_template(kind)) &&
                  written;
    }
    return written ? 0 : 1;
}
