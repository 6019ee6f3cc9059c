// What must hold for every call of the .proto.
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

#include "admin/acl_table.h"
#include "millrace/admin/v1/admin.pb.h"

namespace millrace::admin {
namespace {

const google::protobuf::ServiceDescriptor& service() {
    return *v1::IdentityRequest::descriptor()->file()->service(0);
}

TEST(AdminProto, says_for_every_call_who_may_make_it) {
    EXPECT_GE(call_table().size(), 40u);
    for (const CallRow& row : call_table()) {
        EXPECT_NE(row.operation, 0) << row.name;
        EXPECT_NE(row.resource_type, 0) << row.name;
        EXPECT_NE(operation_name(row.operation), "") << row.name;
    }
}

TEST(AdminProto, names_a_field_that_exists_for_every_rule_about_topics_or_groups) {
    for (const CallRow& row : call_table()) {
        EXPECT_EQ(row.names_field.empty(), resource_name(row.resource_type) == "CLUSTER")
            << row.name;
        const auto* message = service().FindMethodByName(row.name)->input_type();
        std::string path = row.names_field;
        while (!path.empty()) {
            const std::size_t dot = path.find('.');
            const auto* field = message->FindFieldByName(path.substr(0, dot));
            ASSERT_NE(field, nullptr) << row.name << ": " << row.names_field;
            message = field->message_type();
            path = dot == std::string::npos ? "" : path.substr(dot + 1);
            EXPECT_EQ(path.empty(), message == nullptr) << row.name;
        }
    }
}

TEST(AdminProto, guards_exactly_the_calls_that_change_something) {
    const std::set<std::string> looks = {"DESCRIBE", "DESCRIBE_CONFIGS"};
    for (const CallRow& row : call_table()) {
        EXPECT_EQ(row.changes, looks.count(operation_name(row.operation)) == 0) << row.name;
        if (row.changes) {
            const auto* field =
                service().FindMethodByName(row.name)->input_type()->FindFieldByName("guard");
            EXPECT_EQ(field->message_type()->name(), "Guard") << row.name;
            EXPECT_EQ(field->number(), 1) << row.name;
        }
    }
}

TEST(AdminProto, gives_every_call_messages_of_its_own_name) {
    for (int i = 0; i < service().method_count(); ++i) {
        const auto* method = service().method(i);
        EXPECT_EQ(method->input_type()->name(), method->name() + "Request");
        EXPECT_EQ(method->output_type()->name(), method->name() + "Response");
        EXPECT_FALSE(method->client_streaming());
    }
}

TEST(AdminPage, is_the_one_in_docs) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/docs/admin.md"};
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), admin_page()) << "print it anew: build/<preset>/bin/admin_docs";
}

}  // namespace
}  // namespace millrace::admin
