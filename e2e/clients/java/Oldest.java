import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;

/** kafka-clients 2.1.0. */
class Oldest extends Checks {
    static String configs() throws Exception {
        String topic = newTopic(1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        expect("retention.ms at first", "604800000", setting(topic, "retention.ms").value());
        admin.alterConfigs(Collections.singletonMap(resource, new Config(Collections.singleton(new ConfigEntry("retention.ms", "1234567"))))).all().get();
        eventually("the new retention is described", 10, () -> setting(topic, "retention.ms").value().equals("1234567"));
        expectError("a bad value", InvalidConfigurationException.class, () ->
            admin.alterConfigs(Collections.singletonMap(resource, new Config(Collections.singleton(new ConfigEntry("retention.ms", "soon"))))).all().get());
        admin.alterConfigs(Collections.singletonMap(resource, new Config(Collections.emptyList()))).all().get();
        eventually("the default is back", 10, () -> setting(topic, "retention.ms").value().equals("604800000"));
        return "replaced as a whole (2.1 has no incremental change); one refusal";
    }

    static String groupsAdmin() throws Exception {
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        produce(topic, numbered("first", 20));
        Member member = new Member(group, topic, seen);
        eventually("all read", 30, () -> seen.size() == 20 * PARTITIONS);
        ConsumerGroupDescription described = admin.describeConsumerGroups(Collections.singleton(group)).all().get().get(group);
        expect("state with a member", ConsumerGroupState.STABLE, described.state());
        expectError("delete a group with a member", GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(Collections.singleton(group)).all().get());
        member.leave();
        expect("listed", true, admin.listConsumerGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)));
        expect("offsets", PARTITIONS, committed(group, topic).size());
        admin.deleteConsumerGroups(Collections.singleton(group)).all().get();
        expect("listed when deleted", false, admin.listConsumerGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)));
        expectError("delete twice", GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(Collections.singleton(group)).all().get());
        return "listed, described, deleted (2.1 can't reset offsets); two refusals";
    }

    public static void main(String[] args) throws Exception {
        describeTopic = name -> admin.describeTopics(Collections.singleton(name)).values().get(name).get();
        if (args.length == 3) beAMember(args[1], args[2]);
        Map<String, Check> checks = new HashMap<>();
        checks.put("codecs", codecs("none", "gzip", "snappy", "lz4", "zstd"));
        checks.put("groups-join-leave", joinLeave());
        checks.put("groups-crash", () -> crash(Oldest.class));
        checks.put("groups-static", notOffered("2.1 is older than static membership"));
        checks.put("groups-cooperative", notOffered("2.1 is older than cooperative rebalancing"));
        checks.put("groups-kip848", notOffered("2.1 is older than KIP-848"));
        checks.put("topics", Checks::topics);
        checks.put("configs", Oldest::configs);
        checks.put("delete-records", Checks::deleteRecords);
        checks.put("groups-admin", Oldest::groupsAdmin);
        checks.put("broker-killed", Checks::brokerKilled);
        checks.put("offsets-by-time", Checks::offsetsByTime);
        checks.put("small-fetch", Checks::smallFetch);
        checks.put("large-message", Checks::largeMessage);
        checks.put("auto-create", Checks::autoCreate);
        checks.put("unknown-topic", Checks::unknownTopic);
        run(checks);
    }
}
