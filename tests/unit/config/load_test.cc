// From files, environment and command line to checked settings, and what is said about wrong ones.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>

#include "config/config.h"
#include "config/docs.h"
#include "config/listeners.h"

namespace millrace::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Loaded load_text(const std::string& text) {
    Source source;
    source.text = text;
    return load(source);
}

std::vector<std::string> texts(const std::vector<Problem>& problems) {
    std::vector<std::string> out;
    for (const Problem& problem : problems) {
        out.push_back(problem.to_string());
    }
    return out;
}

TEST(Load, starts_with_nothing_at_all) {
    const Loaded loaded = load({});
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_THAT(texts(loaded.warnings), IsEmpty());
    const BrokerConfig config{loaded.given};
    EXPECT_EQ(config.broker().get(broker_option::node_id), 0);
    EXPECT_THAT(config.broker().get(broker_option::process_roles),
                ElementsAre("broker", "controller"));
    EXPECT_EQ(config.broker().get(broker_option::log_segment_bytes), 1 << 30);
    EXPECT_EQ(config.broker().find(broker_option::log_retention_ms), std::nullopt);
}

TEST(Load, takes_the_file_that_kafka_ships) {
    const Loaded loaded = load_text(
        "process.roles=broker,controller\nnode.id=1\n"
        "controller.quorum.bootstrap.servers=localhost:9093\n"
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
        "inter.broker.listener.name=PLAINTEXT\n"
        "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
        "controller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n"
        "num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n"
        "socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n"
        "log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n"
        "num.recovery.threads.per.data.dir=1\noffsets.topic.replication.factor=1\n"
        "share.coordinator.state.topic.replication.factor=1\n"
        "share.coordinator.state.topic.min.isr=1\n"
        "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
        "log.retention.hours=168\nlog.segment.bytes=1073741824\n"
        "log.retention.check.interval.ms=300000\n");
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    // Only what has another value than the default is worth a word.
    EXPECT_THAT(
        texts(loaded.warnings),
        testing::AllOf(testing::Each(HasSubstr("has no effect")),
                       testing::Contains(HasSubstr("num.recovery.threads.per.data.dir=1"))));
}

TEST(Load, names_every_problem_with_its_place_and_a_remedy) {
    const Loaded loaded = load_text(
        "log.retention.hour=24\n"
        "log.segment.bytes=12\n"
        "auto.create.topics.enable=yes\n"
        "zookeeper.connect=zk:2181\n"
        "retention.ms=1000\n"
        "flush.delay=1\n"
        "remote.log.storage.system.enable=true\n"
        "x=\\u12\n");
    EXPECT_THAT(
        texts(loaded.errors),
        ElementsAre(
            "server.properties:8: \\u must be followed by four hexadecimal digits",
            "server.properties:1: log.retention.hour=24: is no known setting (did you mean "
            "log.retention.hours?)",
            "server.properties:2: log.segment.bytes=12: is not 1048576 or more (type int, "
            "1048576 or more; default 1073741824)",
            "server.properties:3: auto.create.topics.enable=yes: is not true or false (type "
            "boolean; default true)",
            HasSubstr("server.properties:4: zookeeper.connect=zk:2181: is a setting of older Kafka "
                      "versions (there is no ZooKeeper"),
            "server.properties:5: retention.ms=1000: is no known setting (that is a topic's "
            "setting; for all topics it is log.retention.ms)",
            "server.properties:6: flush.delay=1: is no known setting (delete the line, or name it "
            "in millrace.config.ignore)",
            "server.properties:7: remote.log.storage.system.enable=true: is not offered: tiered "
            "storage needs a Java plugin; data stays on the log directories (delete the line)"));
}

// Somebody named a picture: the message must not write to his terminal what is in it.
TEST(Load, shows_a_line_of_any_bytes_as_one_short_line_of_text) {
    const Loaded loaded = load_text("a\x1b[2J\x01\xff=1\n" + std::string(100'000, 'n') + "=1\n");
    EXPECT_THAT(
        texts(loaded.errors),
        ElementsAre(
            "server.properties:1: a\\x1b[2J\\x01\\xff=1: is no known setting (delete the line, or "
            "name it in millrace.config.ignore)",
            "server.properties:2: " + std::string(200, 'n') +
                "... (100000 bytes)=1: is no known setting (delete the line, or name it in "
                "millrace.config.ignore)"));
}

TEST(Load, never_shows_a_secret) {
    const Loaded loaded = load_text(
        "ssl.key.password=hunter2\nssl.key.passwort=hunter2\n"
        "listener.name.internal.ssl.keystore.password=hunter2\nmy.api.token=hunter2\n"
        "delegation.token.master.key=hunter2\n");
    EXPECT_EQ(loaded.errors.size(), 3u);
    for (const std::string& text : texts(loaded.errors)) {
        EXPECT_THAT(text, testing::Not(HasSubstr("hunter2")));
    }
}

TEST(Load, lets_the_environment_win_over_the_file_and_the_command_line_over_both) {
    Source source;
    source.text = "log.segment.bytes=2000000\nnum.partitions=3\nnode.id=5\n";
    source.environment = {"MILLRACE_NUM_PARTITIONS=4",
                          "MILLRACE_NODE_ID=6",
                          "MILLRACE_DURABILITY=replicated",
                          "PATH=/bin",
                          "MILLRACE_SERVICE_HOST=10.0.0.1",
                          "MILLRACE_PORT_9092_TCP_ADDR=10.0.0.1",
                          "MILLRACE_LISTENER_NAME_INTERNAL_SSL_KEYSTORE_LOCATION=/a.pem"};
    source.command_line = {"node.id=7"};
    const Loaded loaded = load(source);
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_THAT(texts(loaded.warnings), IsEmpty());
    const BrokerConfig config{loaded.given};
    EXPECT_EQ(config.broker().get(broker_option::log_segment_bytes), 2'000'000);
    EXPECT_EQ(config.broker().get(broker_option::num_partitions), 4);
    EXPECT_EQ(config.broker().get(broker_option::node_id), 7);
    EXPECT_EQ(config.broker().get(broker_option::millrace_durability), "replicated");
    EXPECT_EQ(config.broker_for_listener("INTERNAL").get(broker_option::ssl_keystore_location),
              "/a.pem");
}

TEST(Load, takes_the_files_rack_where_the_pods_label_is_empty) {
    Source source;
    source.text = "broker.rack=a\n";
    source.command_line = {"broker.rack="};
    EXPECT_EQ(BrokerConfig{load(source).given}.broker().get(broker_option::broker_rack), "a");
    source.command_line = {"broker.rack=b"};
    EXPECT_EQ(BrokerConfig{load(source).given}.broker().get(broker_option::broker_rack), "b");
}

TEST(Load, names_the_variable_that_holds_a_wrong_value) {
    Source source;
    source.environment = {"MILLRACE_NUM_PARTITIONS=many"};
    source.command_line = {"num.io.threads", "num.network.threads=none"};
    EXPECT_THAT(texts(load(source).errors),
                ElementsAre(HasSubstr("command line: num.io.threads=: has no value"),
                            HasSubstr("environment MILLRACE_NUM_PARTITIONS: num.partitions=many: "
                                      "is not a whole number"),
                            HasSubstr("command line: num.network.threads=none")));
}

TEST(Load, mentions_a_variable_that_is_nearly_a_setting) {
    Source source;
    source.environment = {"MILLRACE_NUM_PARTITONS=3",         "MILLRACE_DURABILTY=synced",
                          "MILLRACE_SSL_KEY_PASWORD=hunter2", "MILLRACE_PORT=tcp://10.0.0.1:9092",
                          "MILLRACE_SERVICE_PORT=9092",       "MILLRACE_PORT_9092_TCP_PROTO=tcp",
                          "MILLRACE_ADMIN_SERVICE_HOST=::1",  "MILLRACE_LOG_DIRECTORY=/s3cr3t"};
    const Loaded loaded = load(source);
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_THAT(texts(loaded.warnings),
                ElementsAre(HasSubstr("environment MILLRACE_NUM_PARTITONS: num.partitons=3: stands "
                                      "for no setting and has no effect (did you mean "
                                      "MILLRACE_NUM_PARTITIONS?)"),
                            HasSubstr("did you mean MILLRACE_DURABILITY?"), HasSubstr("[hidden]"),
                            "environment MILLRACE_LOG_DIRECTORY: stands for no setting and has no "
                            "effect"));
}

TEST(Load, refuses_a_removed_setting_in_the_environment_as_in_the_file) {
    Source source;
    source.environment = {"MILLRACE_ZOOKEEPER_CONNECT=zk:2181",
                          "MILLRACE_ZOOKEEPER_SERVICE_HOST=10.0.0.1",
                          "MILLRACE_ZOOKEEPER_PORT=tcp://10.0.0.1:2181"};
    EXPECT_THAT(texts(load(source).errors),
                ElementsAre(HasSubstr("environment MILLRACE_ZOOKEEPER_CONNECT: "
                                      "zookeeper.connect=zk:2181: is a setting of older Kafka "
                                      "versions (there is no ZooKeeper")));
    EXPECT_THAT(texts(load(source).warnings), IsEmpty());
}

TEST(Load, takes_once_what_a_list_names_twice_and_warns) {
    const Loaded loaded = load_text(
        "process.roles=broker,controller,broker\nnode.id=1\n"
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
        "controller.quorum.voters=1@h:9093,1@h:9093\n");
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_THAT(texts(loaded.warnings),
                ElementsAre("server.properties:1: process.roles=broker,controller,broker: names "
                            "something twice (it counts once: broker,controller)"));
    EXPECT_THAT(BrokerConfig{loaded.given}.broker().get(broker_option::process_roles),
                ElementsAre("broker", "controller"));
}

TEST(Load, says_where_a_list_is_empty_or_has_an_empty_item_and_what_has_no_name) {
    EXPECT_THAT(texts(load_text("log.dirs=\nlog.dir=/a,,/b\nlisteners=A://:1,,A://:1\n"
                                "controller.quorum.voters=1@h:1,,2@h:2\n=novalue\n")
                          .errors),
                ElementsAre(HasSubstr("log.dirs=: is empty ("),
                            HasSubstr("log.dir=/a,,/b: has an empty item"),
                            HasSubstr("listeners=A://:1,,A://:1: has an empty item"),
                            HasSubstr("controller.quorum.voters=1@h:1,,2@h:2: is not "),
                            "server.properties:5: =novalue: there is no name before the = (write "
                            "NAME=VALUE, or delete it)"));
}

TEST(Load, tells_of_listeners_together_with_what_is_wrong_by_itself) {
    EXPECT_THAT(texts(load_text("num.partitions=many\n"
                                "listeners=PLAINTEXT://:70000,CONTROLLER://:9093,nonsense\n"
                                "advertised.listeners=PLAINTEXT://0.0.0.0:9092\n"
                                "listener.security.protocol.map=PLAINTEXT:NONE,CONTROLLER\n"
                                "log.retention.ms=0\nno.such.thing=1\n")
                          .errors),
                ElementsAre(HasSubstr("num.partitions=many"), HasSubstr("no.such.thing"),
                            HasSubstr("log.retention.ms=0: is 0"),
                            HasSubstr("'PLAINTEXT://:70000': ports end at 65535"),
                            HasSubstr("'nonsense' is not NAME://host:port"),
                            HasSubstr("'PLAINTEXT:NONE' is not NAME:PROTOCOL"),
                            HasSubstr("'CONTROLLER' is not NAME:PROTOCOL"),
                            HasSubstr("nobody can connect to 0.0.0.0")));
    EXPECT_THAT(texts(load_text("num.partitions=many\nadvertised.listeners=OUT://host:1\n"
                                "listener.security.protocol.map=PLAINTEXT:NONE\n")
                          .errors),
                ElementsAre(HasSubstr("num.partitions=many"), HasSubstr("PLAINTEXT:NONE"),
                            HasSubstr("listeners has no OUT")));
}

TEST(Load, concludes_nothing_from_what_is_wrong_by_itself) {
    EXPECT_THAT(texts(load_text("controller.listener.names=X,,Y\nlisteners=X://:9093\n"
                                "broker.session.timeout.ms=long\n"
                                "broker.heartbeat.interval.ms=8000\n")
                          .errors),
                ElementsAre(HasSubstr("has an empty item"), HasSubstr("long")));
}

TEST(Load, shows_the_default_that_contradicts) {
    EXPECT_THAT(texts(load_text("node.id=1\ncontroller.quorum.voters=1@h:1,2@h:2\n").errors),
                ElementsAre(HasSubstr("default: controller.listener.names=CONTROLLER: none of ")));
}

// Kafka formats with any text; most of them are ids that it made itself.
TEST(Load, takes_any_cluster_id_that_one_can_read) {
    for (const std::string id : {"cGVlcmthZmthcGVlcmthZg", "my-cluster_1", "a=b:c"}) {
        EXPECT_THAT(texts(load_text("cluster.id=" + id + "\n").errors), IsEmpty());
    }
    for (const std::string id : {"not valid! =x", "a\tb", "a\\\\b", "\xc3\xa4"}) {
        EXPECT_THAT(texts(load_text("cluster.id=" + id + "\n").errors),
                    ElementsAre(HasSubstr("take letters, digits, - and _")));
    }
}

TEST(Load, refuses_a_zero_byte_at_which_the_system_would_cut_a_path_off) {
    EXPECT_THAT(texts(load_text("log.dirs=/data\\u0000/other\n").errors),
                ElementsAre(HasSubstr("log.dirs=/data\\x00/other: holds a zero byte")));
}

TEST(Load, warns_of_a_comment_behind_a_value) {
    const Loaded loaded = load_text(
        "log.dirs=/data # the fast disk\nssl.key.password=a #1\n# fine\nnum.partitions=3\n");
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_THAT(
        texts(loaded.warnings),
        ElementsAre("server.properties:1: log.dirs=/data # the fast disk: has a # in it, and "
                    "all of it is the value (a comment begins a line of its own)"));
}

TEST(Load, takes_a_file_that_begins_with_a_byte_order_mark) {
    const Loaded loaded = load_text("\xef\xbb\xbf# written elsewhere\r\nnum.partitions=3\r\n");
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
    EXPECT_EQ(BrokerConfig{loaded.given}.broker().get(broker_option::num_partitions), 3);
}

TEST(Load, gives_every_broker_option_an_environment_name_of_its_own) {
    EXPECT_EQ(option_of_environment_name("MILLRACE_LOG_SEGMENT_BYTES")->name, "log.segment.bytes");
    EXPECT_EQ(option_of_environment_name("MILLRACE_CLUSTER_ID")->name, "cluster.id");
    EXPECT_EQ(option_of_environment_name("MILLRACE_NOTHING"), nullptr);
}

TEST(Load, passes_over_what_it_is_told_to_ignore) {
    const Loaded loaded = load_text(
        "millrace.config.ignore=confluent.*,my.key\nconfluent.license=x\nmy.key=1\nmy.other=1\n");
    ASSERT_EQ(loaded.errors.size(), 1u);
    EXPECT_EQ(loaded.errors[0].key, "my.other");
}

TEST(Load, warns_of_a_setting_given_twice) {
    const Loaded loaded = load_text("num.partitions=1\nnum.partitions=2\n");
    EXPECT_THAT(texts(loaded.warnings),
                ElementsAre("server.properties:2: num.partitions=2: was given before at "
                            "server.properties:1 (this one counts)"));
    EXPECT_EQ(BrokerConfig{loaded.given}.broker().get(broker_option::num_partitions), 2);
}

TEST(Load, takes_broker_id_for_node_id_unless_they_differ) {
    const Loaded same = load_text("broker.id=4\n");
    EXPECT_EQ(BrokerConfig{same.given}.broker().get(broker_option::node_id), 4);
    EXPECT_THAT(texts(load_text("broker.id=4\nnode.id=5\n").errors),
                ElementsAre(HasSubstr("differs from node.id, which is 5")));
}

struct Contradiction {
    const char* text;
    const char* key;
    const char* what;
};

class Contradictions : public testing::TestWithParam<Contradiction> {};

TEST(Load, requests_may_be_as_large_as_the_batches_that_were_allowed) {
    const Loaded loaded = load_text("message.max.bytes=200000000\n");
    ASSERT_THAT(loaded.errors, testing::IsEmpty());
    const BrokerConfig config{loaded.given};
    EXPECT_EQ(config.broker().get(broker_option::socket_request_max_bytes), 200065536);
}

TEST(Load, a_limit_of_requests_that_batches_fit_in_stays) {
    const Loaded loaded = load_text("message.max.bytes=2000000\n");
    const BrokerConfig config{loaded.given};
    EXPECT_EQ(config.broker().get(broker_option::socket_request_max_bytes), 16777216);
}

TEST_P(Contradictions, are_told) {
    const Loaded loaded = load_text(GetParam().text);
    ASSERT_EQ(loaded.errors.size(), 1u);
    EXPECT_EQ(loaded.errors[0].key, GetParam().key);
    EXPECT_THAT(loaded.errors[0].what, HasSubstr(GetParam().what));
}

INSTANTIATE_TEST_SUITE_P(
    Between, Contradictions,
    testing::Values(
        Contradiction{"broker.heartbeat.interval.ms=2000\n", "broker.heartbeat.interval.ms",
                      "more than a half of the 3000 of broker.session.timeout.ms"},
        Contradiction{"message.max.bytes=20000000\nsocket.request.max.bytes=16777216\n",
                      "message.max.bytes", "more than the 16777216 of socket.request.max.bytes"},
        Contradiction{"log.retention.ms=0\n", "log.retention.ms", "must be 1 or more, or -1"},
        Contradiction{"group.consumer.session.timeout.ms=70000\n",
                      "group.consumer.session.timeout.ms", "more than the 60000"},
        Contradiction{"max.connections.per.ip.overrides=hostname\n",
                      "max.connections.per.ip.overrides", "is not address:count"},
        Contradiction{"max.connections.per.ip.overrides=one/two:5\n",
                      "max.connections.per.ip.overrides", "neither an address nor a host's name"},
        Contradiction{"listeners=PLAINTEXT://:9092,INSIDE://:9093\n", "listeners",
                      "listener.security.protocol.map has no entry for INSIDE"},
        Contradiction{"listeners=PLAINTEXT:9092\n", "listeners", "is not NAME://host:port"},
        Contradiction{"listeners=PLAINTEXT://:9092,SSL://:9092\n", "listeners",
                      "have the same port 9092"},
        Contradiction{"listeners=CONTROLLER://:9093\n", "listeners", "only controller listeners"},
        Contradiction{"advertised.listeners=PLAINTEXT://0.0.0.0:9092\n", "advertised.listeners",
                      "nobody can connect to 0.0.0.0"},
        Contradiction{"advertised.listeners=OUT://host:9092\n", "advertised.listeners",
                      "listeners has no OUT"},
        Contradiction{"listeners=X://:9092\nlistener.security.protocol.map=X:SASL_SSL\n",
                      "listener.security.protocol.map", "SASL is not offered yet"},
        Contradiction{"inter.broker.listener.name=INSIDE\n", "inter.broker.listener.name",
                      "no listener of brokers"},
        Contradiction{"millrace.admin.listener=0.0.0.0:9095\n", "millrace.admin.listener",
                      "others can reach 0.0.0.0; give millrace.admin.tls.certificate"},
        Contradiction{"millrace.admin.tls.key=/k\n", "millrace.admin.tls.certificate",
                      "belongs together"},
        Contradiction{"millrace.metrics.listener=nine\n", "millrace.metrics.listener",
                      "'nine' is not host:port"},
        Contradiction{"security.inter.broker.protocol=SASL_SSL\n", "security.inter.broker.protocol",
                      "no listener of brokers speaks it"},
        Contradiction{"security.inter.broker.protocol=SSL\ninter.broker.listener.name=PLAINTEXT\n",
                      "security.inter.broker.protocol",
                      "is SSL, and PLAINTEXT, which brokers use, speaks PLAINTEXT"},
        Contradiction{"process.roles=broker\nnode.id=1\ncontroller.listener.names=CONTROLLER\n",
                      "process.roles", "says where the controllers are"},
        Contradiction{"node.id=1\ncontroller.quorum.voters=1@h:1,2@h:2\n",
                      "controller.listener.names", "could not reach this one"},
        Contradiction{"node.id=4\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                      "controller.quorum.voters=1@h:9093,2@h:9093\n",
                      "node.id",
                      "is 4, which controller.quorum.voters doesn't list, but process.roles has "
                      "controller; add 4@host:port there"},
        Contradiction{"node.id=4\nprocess.roles=controller\nlisteners=CONTROLLER://:9093\n"
                      "controller.quorum.voters=1@h:9093\n",
                      "node.id", "is 4, which controller.quorum.voters doesn't list"},
        Contradiction{"node.id=1\nprocess.roles=broker\ncontroller.quorum.voters=1@h:9093\n",
                      "process.roles",
                      "has no controller, but controller.quorum.voters lists 1, which is this "
                      "node.id; add controller here"},
        Contradiction{"node.id=1\nprocess.roles=controller\ncontroller.quorum.voters=1@h:9093\n"
                      "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n",
                      "listeners",
                      "has PLAINTEXT, which controller.listener.names doesn't name, and "
                      "process.roles is controller alone; remove it"}));

// What others dial is written down twice. Where addresses are translated that is meant.
TEST(Load, warns_where_the_list_of_voters_has_another_port_than_the_listener) {
    const auto warnings = [](const std::string& listed, const std::string& more) {
        const Loaded loaded = load_text(
            "node.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
            "controller.quorum.voters=1@h:" +
            listed + ",2@i:9093\n" + more);
        EXPECT_THAT(texts(loaded.errors), IsEmpty());
        return texts(loaded.warnings);
    };
    EXPECT_THAT(warnings("9193", ""),
                ElementsAre(HasSubstr("controller.quorum.voters=1@h:9193,2@i:9093: the other nodes "
                                      "look for this one, 1, at h:9193, but its listeners for "
                                      "controllers are CONTROLLER://:9093;")));
    EXPECT_THAT(warnings("9093", ""), IsEmpty());
    EXPECT_THAT(warnings("9193", "advertised.listeners=PLAINTEXT://h:9092,CONTROLLER://h:9193\n"),
                IsEmpty());
    EXPECT_THAT(warnings("9193", "listeners=PLAINTEXT://:9092,CONTROLLER://:0\n"),
                ElementsAre(HasSubstr("was given before")));
}

TEST(Listeners, are_read_together) {
    const Loaded loaded = load_text(
        "listeners=INSIDE://10.0.0.1:9092,OUTSIDE://[::]:9094,CONTROLLER://:9093\n"
        "advertised.listeners=INSIDE://broker-1:9092,OUTSIDE://example.org:443\n"
        "listener.security.protocol.map=inside:PLAINTEXT, OUTSIDE:SSL\n"
        "inter.broker.listener.name=INSIDE\n");
    ASSERT_THAT(texts(loaded.errors), IsEmpty());
    const auto listeners = read_listeners(BrokerConfig{loaded.given}.broker());
    ASSERT_TRUE(listeners.has_value());
    ASSERT_EQ(listeners->size(), 3u);
    const ListenerSpec& inside = (*listeners)[0];
    EXPECT_EQ(inside.name, "INSIDE");
    EXPECT_EQ(inside.host, "10.0.0.1");
    EXPECT_EQ(inside.advertised_host, "broker-1");
    EXPECT_TRUE(inside.inter_broker);
    const ListenerSpec& outside = (*listeners)[1];
    EXPECT_EQ(outside.host, "::");
    EXPECT_EQ(outside.protocol, SecurityProtocol::ssl);
    EXPECT_EQ(outside.advertised_port, 443);
    EXPECT_FALSE(outside.inter_broker);
    EXPECT_TRUE((*listeners)[2].controller);
    EXPECT_EQ((*listeners)[2].advertised_port, 9093) << "what isn't listed is told as it listens";
}

// As Kafka reads it; what generates the map often leaves a comma.
TEST(Listeners, the_protocol_map_may_end_with_a_comma) {
    const Loaded loaded = load_text(
        "listeners=INSIDE://:9092\nlistener.security.protocol.map=INSIDE:PLAINTEXT,,\n"
        "inter.broker.listener.name=INSIDE\n");
    EXPECT_THAT(texts(loaded.errors), IsEmpty());
}

TEST(Listeners, one_of_other_nodes_that_is_named_like_a_protocol_needs_no_entry) {
    const Loaded loaded = load_text(
        "process.roles=controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n"
        "listeners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:SSL\n");
    const BrokerConfig config{loaded.given};
    EXPECT_EQ(protocol_of(config.broker(), "PLAINTEXT").value(), SecurityProtocol::plaintext);
    EXPECT_EQ(protocol_of(config.broker(), "CONTROLLER").value(), SecurityProtocol::ssl);
    EXPECT_FALSE(protocol_of(config.broker(), "INSIDE").has_value());
}

TEST(HostPort, is_read_with_brackets_and_without_a_host) {
    EXPECT_EQ(parse_host_port("127.0.0.1:9095")->host, "127.0.0.1");
    EXPECT_EQ(parse_host_port("[::1]:1")->host, "::1");
    EXPECT_EQ(parse_host_port(":80")->host, "");
    EXPECT_EQ(parse_host_port(":80")->port, 80);
    for (const char* bad : {"", "host", "host:", "host:x", "host:70000", "host:1x"}) {
        EXPECT_FALSE(parse_host_port(bad).has_value()) << bad;
    }
}

TEST(ConfigurationPage, is_the_one_in_docs) {
    std::ifstream file{std::string{MILLRACE_SOURCE_DIR} + "/docs/configuration.md"};
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), configuration_page()) << "print it anew: build/<preset>/bin/config_docs";
}

}  // namespace
}  // namespace millrace::config
