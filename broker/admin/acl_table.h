// admin/acl_table.h
//
// The calls of millrace.admin.v1 and what each demands of its caller, read from the .proto options
// that are compiled into the program. A test holds it to be total and against docs/admin.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::admin {

struct CallRow {
    std::string name;
    std::int8_t operation = 0;      ///< Kafka's number; 0: the .proto has no rule, a bug.
    std::int8_t resource_type = 0;  ///< Kafka's number.
    std::string names_field;
    bool changes = false;  ///< Carries a Guard.
    bool streams = false;
};

/// In the .proto's order.
std::vector<CallRow> call_table();

std::string operation_name(std::int8_t operation);
std::string resource_name(std::int8_t resource_type);

/// docs/admin.md
std::string admin_page();

}  // namespace millrace::admin
