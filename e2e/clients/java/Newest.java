import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;

/** kafka-clients 4.4.0. */
class Newest extends Checks {
    static final String COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

    static String staticMembers(Object... options) throws Exception {
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        Member x = new Member(group, topic, seen, with(options, "group.instance.id", "x"));
        Member y = new Member(group, topic, seen, with(options, "group.instance.id", "y"));
        Member first = x;
        eventually("two static members share", 30, () -> share(PARTITIONS, first, y) && first.owned.size() == 2);
        TreeSet<Integer> before = x.parts();
        int given = y.given.get(), taken = y.taken.get();
        x.leave();
        Member again = new Member(group, topic, seen, with(options, "group.instance.id", "x"));
        eventually("the restarted member has partitions", 20, () -> again.owned.size() == 2);
        expect("partitions of the restarted member", before, again.parts());
        expect("moves that the other saw meanwhile", given + "+" + taken, y.given.get() + "+" + y.taken.get());
        again.leave();
        y.leave();
        admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions()).all().get();
        expect("members after their removal", 0, admin.describeConsumerGroups(Set.of(group)).all().get().get(group).members().size());
        return "kept " + before + " over a restart";
    }

    static Object[] with(Object[] options, Object... more) {
        List<Object> all = new ArrayList<>(Arrays.asList(options));
        all.addAll(Arrays.asList(more));
        return all.toArray();
    }

    static String cooperative() throws Exception {
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        Member a = new Member(group, topic, seen, "partition.assignment.strategy", COOPERATIVE);
        eventually("the first member owns all", 20, () -> a.owned.size() == PARTITIONS);
        Member b = new Member(group, topic, seen, "partition.assignment.strategy", COOPERATIVE);
        eventually("two members share", 30, () -> share(PARTITIONS, a, b) && a.owned.size() == 2);
        expect("partitions taken from the first member", 2, a.taken.get());
        b.leave();
        eventually("the first member owns all again", 30, () -> a.owned.size() == PARTITIONS);
        expect("partitions ever taken from the first member", 2, a.taken.get());
        a.leave();
        return "two of four moved, two stayed";
    }

    static String kip848() throws Exception {
        String words = joinLeave("group.protocol", "consumer").ask();
        String fixed = staticMembers("group.protocol", "consumer");
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        Member old = new Member(group, topic, seen, "partition.assignment.strategy", COOPERATIVE);
        eventually("a member of the classic protocol owns all", 20, () -> old.owned.size() == PARTITIONS);
        Member next = new Member(group, topic, seen, "group.protocol", "consumer");
        eventually("both protocols share one group", 30, () -> share(PARTITIONS, old, next) && next.owned.size() == 2);
        expect("type of the group while it moves", GroupType.CONSUMER, admin.describeConsumerGroups(Set.of(group)).all().get().get(group).type());
        old.leave();
        eventually("the new member owns all", 20, () -> next.owned.size() == PARTITIONS);
        next.leave();
        return words + "; static " + fixed + "; moved live from the classic protocol";
    }

    static void alter(String topic, String key, String value, AlterConfigOp.OpType op) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), List.of(new AlterConfigOp(new ConfigEntry(key, value), op)))).all().get();
    }

    static String configs() throws Exception {
        String topic = newTopic(1);
        expect("retention.ms at first", "604800000", setting(topic, "retention.ms").value());
        alter(topic, "retention.ms", "1234567", AlterConfigOp.OpType.SET);
        eventually("the new retention is described", 10, () -> setting(topic, "retention.ms").value().equals("1234567"));
        expect("its source", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, setting(topic, "retention.ms").source());
        alter(topic, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        eventually("both policies", 10, () -> setting(topic, "cleanup.policy").value().equals("delete,compact"));
        alter(topic, "cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT);
        eventually("one policy", 10, () -> setting(topic, "cleanup.policy").value().equals("compact"));
        expectError("a bad value", InvalidConfigurationException.class, () -> alter(topic, "retention.ms", "soon", AlterConfigOp.OpType.SET));
        expectError("an unknown setting", InvalidConfigurationException.class, () -> alter(topic, "no.such", "1", AlterConfigOp.OpType.SET));
        alter(topic, "retention.ms", "", AlterConfigOp.OpType.DELETE);
        eventually("the default is back", 10, () -> setting(topic, "retention.ms").value().equals("604800000"));
        return "set, appended, subtracted, deleted; two refusals";
    }

    static String groupsAdmin() throws Exception {
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>(), again = new ConcurrentHashMap<>();
        produce(topic, numbered("first", 20));
        Member member = new Member(group, topic, seen);
        eventually("all read", 30, () -> seen.size() == 20 * PARTITIONS);
        expect("state with a member", GroupState.STABLE, admin.describeConsumerGroups(Set.of(group)).all().get().get(group).groupState());
        expectError("delete a group with a member", GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(Set.of(group)).all().get());
        expectError("reset a group with a member", UnknownMemberIdException.class, () ->
            admin.alterConsumerGroupOffsets(group, Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(5))).all().get());
        member.leave();
        expect("state without members", GroupState.EMPTY, admin.describeConsumerGroups(Set.of(group)).all().get().get(group).groupState());
        expect("listed among the empty", true, admin.listGroups(ListGroupsOptions.forConsumerGroups().inGroupStates(Set.of(GroupState.EMPTY))).all().get().stream().anyMatch(g -> g.groupId().equals(group)));
        admin.alterConsumerGroupOffsets(group, Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(5))).all().get();
        Member other = new Member(group, topic, again);
        eventually("fifteen are read again", 20, () -> total(again) == 15);
        other.leave();
        expect("read again", 15, total(again));
        admin.deleteConsumerGroupOffsets(group, Set.of(new TopicPartition(topic, 1))).all().get();
        expect("partitions with an offset", Set.of(0, 2, 3), committed(group, topic).keySet());
        admin.deleteConsumerGroups(Set.of(group)).all().get();
        expectError("delete twice", GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(Set.of(group)).all().get());
        return "listed, described, reset, deleted; three refusals";
    }

    static String offsetsByTimeNewest() throws Exception {
        String words = offsetsByTime(), topic = newTopic(1);
        TopicPartition part = new TopicPartition(topic, 0);
        produce(topic, sample(5, 1, 10));
        expect("offset of the latest time", true, admin.listOffsets(Map.of(part, OffsetSpec.maxTimestamp())).partitionResult(part).get().offset() >= 0);
        expect("latest", 10L, admin.listOffsets(Map.of(part, OffsetSpec.latest())).partitionResult(part).get().offset());
        expect("earliest local", 0L, admin.listOffsets(Map.of(part, OffsetSpec.earliestLocal())).partitionResult(part).get().offset());
        return words + ", and the admin's kinds";
    }

    static String unknownTopicNewest() throws Exception {
        String words = unknownTopic();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("allow.auto.create.topics", "false", "default.api.timeout.ms", "3000")) {
            expectError("offsets of nowhere", org.apache.kafka.common.errors.TimeoutException.class, () -> consumer.endOffsets(Set.of(new TopicPartition(fresh("nowhere"), 0))));
        }
        return words + ", offsets time out as the client says";
    }

    public static void main(String[] args) throws Exception {
        describeTopic = name -> admin.describeTopics(Collections.singleton(name)).topicNameValues().get(name).get();
        if (args.length == 3) beAMember(args[1], args[2]);
        Map<String, Check> checks = new HashMap<>();
        checks.put("codecs", codecs("none", "gzip", "snappy", "lz4", "zstd"));
        checks.put("groups-join-leave", joinLeave());
        checks.put("groups-crash", () -> crash(Newest.class));
        checks.put("groups-static", () -> staticMembers());
        checks.put("groups-cooperative", Newest::cooperative);
        checks.put("groups-kip848", Newest::kip848);
        checks.put("topics", Checks::topics);
        checks.put("configs", Newest::configs);
        checks.put("delete-records", Checks::deleteRecords);
        checks.put("groups-admin", Newest::groupsAdmin);
        checks.put("broker-killed", Checks::brokerKilled);
        checks.put("offsets-by-time", Newest::offsetsByTimeNewest);
        checks.put("small-fetch", Checks::smallFetch);
        checks.put("large-message", Checks::largeMessage);
        checks.put("auto-create", Checks::autoCreate);
        checks.put("unknown-topic", Newest::unknownTopicNewest);
        run(checks);
    }
}
