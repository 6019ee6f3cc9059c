// Asks a running Apache Kafka broker how it describes settings and which changes it takes; prints one
// answer a line, tab separated. README.md says how to run it and what reads the result.
//   describe  resource name  value source readonly sensitive type  synonyms...
//   alter     resource op key value  outcome
import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;

public class KafkaAnswers {
    static Admin admin;

    static String text(String value) {
        return value == null ? "\\N" : value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
    }

    static String title(ConfigResource resource) {
        return resource.type().name().toLowerCase() + ":" + resource.name();
    }

    static String alter(ConfigResource resource, OpType op, String key, String value) throws Exception {
        var change = new AlterConfigOp(new ConfigEntry(key, value), op);
        try {
            admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
            return "ok";
        } catch (ExecutionException refused) {
            return refused.getCause().getClass().getSimpleName();
        }
    }

    static void probe(ConfigResource resource, OpType op, String key, String value) throws Exception {
        System.out.println(String.join("\t", "alter", title(resource), op.name(), key, text(value),
            alter(resource, op, key, value)));
    }

    static void set(ConfigResource resource, String key, String value) throws Exception {
        if (!alter(resource, OpType.SET, key, value).equals("ok")) throw new Error(key);
    }

    static void describe(ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true);
        var config = admin.describeConfigs(List.of(resource), options).all().get().get(resource);
        for (var entry : new TreeSet<>(config.entries().stream().map(ConfigEntry::name).toList())) {
            var one = config.get(entry);
            var line = new StringJoiner("\t").add("describe").add(title(resource)).add(one.name())
                .add(text(one.value())).add(one.source().name()).add("" + one.isReadOnly())
                .add("" + one.isSensitive()).add(one.type().name());
            for (var synonym : one.synonyms()) {
                line.add(synonym.name() + "=" + text(synonym.value()) + "@" + synonym.source().name());
            }
            System.out.println(line);
        }
    }

    public static void main(String[] arguments) throws Exception {
        admin = Admin.create(Map.of("bootstrap.servers", arguments[0]));
        var broker = new ConfigResource(Type.BROKER, "1");
        var cluster = new ConfigResource(Type.BROKER, "");
        var plain = new ConfigResource(Type.TOPIC, "plain");
        var own = new ConfigResource(Type.TOPIC, "own");
        var group = new ConfigResource(Type.GROUP, "g");
        var metrics = new ConfigResource(Type.CLIENT_METRICS, "m");
        admin.createTopics(List.of(new NewTopic("plain", 1, (short) 1),
            new NewTopic("own", 1, (short) 1).configs(Map.of("cleanup.policy", "compact",
                "min.cleanable.dirty.ratio", "0.250", "retention.ms", "5000")))).all().get();

        for (var topic : List.of(plain)) {
            probe(topic, OpType.SET, "retention.ms", "abc");
            probe(topic, OpType.SET, "retention.ms", "-2");
            probe(topic, OpType.SET, "no.such.key", "1");
            probe(topic, OpType.DELETE, "no.such.key", null);
            probe(topic, OpType.DELETE, "retention.ms", null);
            probe(topic, OpType.SET, "cleanup.policy", "compact,delete");
            probe(topic, OpType.SET, "cleanup.policy", "shred");
            probe(topic, OpType.SET, "cleanup.policy", "");
            probe(topic, OpType.APPEND, "cleanup.policy", "compact");
            probe(topic, OpType.APPEND, "cleanup.policy", "shred");
            probe(topic, OpType.SUBTRACT, "cleanup.policy", "delete");
            probe(topic, OpType.APPEND, "retention.ms", "5");
            probe(topic, OpType.SUBTRACT, "segment.bytes", "5");
            probe(topic, OpType.SET, "segment.bytes", "1024");
            probe(topic, OpType.SET, "segment.bytes", "1048576");
            probe(topic, OpType.SET, "min.insync.replicas", "0");
            probe(topic, OpType.SET, "min.compaction.lag.ms", "9");
            probe(topic, OpType.SET, "max.compaction.lag.ms", "8");
            probe(topic, OpType.DELETE, "min.compaction.lag.ms", null);
            probe(topic, OpType.SET, "compression.type", "brotli");
            probe(topic, OpType.SET, "compression.type", "zstd");
            probe(topic, OpType.SET, "message.timestamp.type", "createtime");
            probe(topic, OpType.SET, "leader.replication.throttled.replicas", "0:1,0:2");
            probe(topic, OpType.SET, "leader.replication.throttled.replicas", "x");
            probe(topic, OpType.APPEND, "leader.replication.throttled.replicas", "1:1");
            probe(topic, OpType.SET, "preallocate", "maybe");
            probe(topic, OpType.SET, "remote.storage.enable", "false");
            probe(topic, OpType.DELETE, "compression.type", null);
            probe(topic, OpType.DELETE, "cleanup.policy", null);
            probe(topic, OpType.DELETE, "segment.bytes", null);
            probe(topic, OpType.DELETE, "leader.replication.throttled.replicas", null);
            probe(topic, OpType.DELETE, "max.compaction.lag.ms", null);
            probe(topic, OpType.DELETE, "remote.storage.enable", null);
        }
        probe(broker, OpType.SET, "node.id", "2");
        probe(broker, OpType.SET, "log.retention.hours", "2");
        probe(broker, OpType.SET, "no.such.key", "2");
        probe(broker, OpType.SET, "log.cleaner.threads", "x");
        probe(broker, OpType.SET, "log.cleaner.threads", "-1");
        probe(broker, OpType.SET, "ssl.keystore.location", "/nowhere");
        probe(cluster, OpType.SET, "node.id", "2");
        probe(cluster, OpType.SET, "log.retention.hours", "2");
        probe(cluster, OpType.SET, "no.such.key", "2");
        probe(cluster, OpType.SET, "log.cleaner.threads", "x");
        probe(cluster, OpType.SET, "ssl.keystore.location", "/nowhere");
        probe(cluster, OpType.SET, "listener.name.external.ssl.keystore.location", "/nowhere");
        probe(cluster, OpType.APPEND, "log.cleaner.threads", "2");
        probe(group, OpType.SET, "consumer.session.timeout.ms", "50000");
        probe(group, OpType.SET, "consumer.session.timeout.ms", "1");
        probe(group, OpType.SET, "consumer.session.timeout.ms", "70000");
        probe(group, OpType.SET, "consumer.heartbeat.interval.ms", "5000");
        probe(group, OpType.SET, "share.isolation.level", "read_committed");
        probe(group, OpType.SET, "share.isolation.level", "dirty");
        probe(group, OpType.SET, "share.auto.offset.reset", "by_duration:PT1H");
        probe(group, OpType.SET, "share.auto.offset.reset", "by_duration:soon");
        probe(group, OpType.SET, "no.such.key", "1");
        probe(group, OpType.DELETE, "share.isolation.level", null);
        probe(metrics, OpType.SET, "interval.ms", "1000");
        probe(metrics, OpType.SET, "interval.ms", "10");
        probe(metrics, OpType.SET, "metrics", "org.apache.kafka.producer.");
        probe(metrics, OpType.SET, "match", "client_id=app.*");
        probe(metrics, OpType.SET, "match", "client=app");
        probe(metrics, OpType.APPEND, "match", "client_software_name=java");
        probe(metrics, OpType.SET, "no.such.key", "1");

        set(cluster, "log.retention.ms", "7000");
        set(cluster, "log.cleaner.threads", "2");
        set(cluster, "compression.type", "gzip");
        set(broker, "log.cleaner.threads", "3");
        set(broker, "log.segment.bytes", "5000000");
        set(broker, "follower.replication.throttled.rate", "1000000");
        Thread.sleep(2000);  // until the broker acts on what the controller recorded
        for (var resource : List.of(broker, cluster, plain, own, group, metrics)) describe(resource);
        admin.close();
    }
}
