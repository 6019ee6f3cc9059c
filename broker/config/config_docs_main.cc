// Prints docs/configuration.md, or docs/budgets.md when given the word "budgets".
#include <cstdio>
#include <string_view>

#include "config/budget.h"
#include "config/docs.h"

int main(int count, char** arguments) {
    const bool budgets = count > 1 && std::string_view{arguments[1]} == "budgets";
    const std::string page =
        budgets ? millrace::config::budgets_page() : millrace::config::configuration_page();
    std::fputs(page.c_str(), stdout);
    return 0;
}
