// Prints docs/admin.md.
#include <cstdio>

#include "admin/acl_table.h"

int main() {
    std::fputs(millrace::admin::admin_page().c_str(), stdout);
    return 0;
}
