import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;

/**
 * Gives a cluster of three brokers a bit of every kind of metadata.
 *
 *   Exercise BOOTSTRAP           all of it
 *   Exercise BOOTSTRAP fenced ID waits until that broker is in no ISR any more
 */
public class Exercise {
    public static void main(String[] args) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "default.api.timeout.ms", "180000",
                "request.timeout.ms", "60000");
        try (Admin admin = Admin.create(settings)) {
            if (args.length > 2) await(admin, Integer.parseInt(args[2]));
            else exercise(admin);
        }
    }

    static void exercise(Admin admin) throws Exception {
        var topics = new ArrayList<NewTopic>();
        for (int n = 1; n <= 3; n++)
            topics.add(new NewTopic("orders." + n, n * 4, (short) n).configs(Map.of("retention.ms", "" + n)));
        admin.createTopics(topics).all().get();
        admin.deleteTopics(List.of("orders.1")).all().get();
        admin.createPartitions(Map.of("orders.2", NewPartitions.increaseTo(11))).all().get();
        alter(admin, ConfigResource.Type.TOPIC, "orders.2", "cleanup.policy", "compact");
        alter(admin, ConfigResource.Type.BROKER, "2", "log.cleaner.threads", "2");
        alter(admin, ConfigResource.Type.BROKER, "", "log.retention.ms", "99999");
        alter(admin, ConfigResource.Type.GROUP, "workers", "consumer.session.timeout.ms", "50000");
        var entity = new HashMap<String, String>();
        entity.put(ClientQuotaEntity.USER, "alice");
        entity.put(ClientQuotaEntity.CLIENT_ID, null);
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(entity),
                List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1024.0))))).all().get();
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("bob",
                new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8192), "secret"))).all().get();
        admin.createAcls(List.of(new AclBinding(new ResourcePattern(ResourceType.TOPIC, "orders", PatternType.PREFIXED),
                new AccessControlEntry("User:alice", "*", AclOperation.READ, AclPermissionType.ALLOW)))).all().get();
        admin.alterPartitionReassignments(Map.of(new TopicPartition("orders.2", 0),
                Optional.of(new NewPartitionReassignment(List.of(3, 1))))).all().get();
    }

    static void alter(Admin admin, ConfigResource.Type type, String name, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name),
                List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).all().get();
    }

    static void await(Admin admin, int broker) throws Exception {
        for (int round = 0; round < 600; round++) {
            var described = admin.describeTopics(List.of("orders.2", "orders.3")).allTopicNames().get();
            if (described.values().stream().flatMap(topic -> topic.partitions().stream())
                    .allMatch(partition -> partition.isr().stream().noneMatch(node -> node.id() == broker))) return;
            Thread.sleep(200);
        }
        throw new IllegalStateException("broker " + broker + " is still in an ISR");
    }
}
