import java.io.File;
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.metadata.*;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.image.*;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.metadata.authorizer.StandardAcl;

/**
 * Replays metadata snapshots and logs with Kafka's own classes and prints the image line by line, as
 * `metadata_records read` does.
 *
 *   PrintImage FILE...
 */
public class PrintImage {
    public static void main(String[] files) throws Exception {
        MetadataImage image = MetadataImage.EMPTY;
        for (String file : files) {
            try (FileRecords records = FileRecords.open(new File(file), false)) {
                for (RecordBatch batch : records.batches()) {
                    batch.ensureValid();
                    if (batch.isControlBatch()) continue;
                    // A delta each: one that sees a topic come and go keeps its configs.
                    for (var record : batch) {
                        var message = new MetadataRecordSerde()
                                .read(new ByteBufferAccessor(record.value()), record.valueSize()).message();
                        // None is aborted here, so that they begin and end changes nothing.
                        if (message instanceof BeginTransactionRecord || message instanceof EndTransactionRecord) continue;
                        MetadataDelta delta = new MetadataDelta.Builder().setImage(image).build();
                        delta.replay(message);
                        image = delta.apply(MetadataProvenance.EMPTY);
                    }
                }
            }
        }
        settings(image);
        cluster(image);
        topics(image);
    }

    static String ids(int[] ids) {
        return Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(",", "[", "]"));
    }

    static String uuids(Collection<Uuid> ids) {
        return ids.stream().map(Uuid::toString).collect(Collectors.joining(",", "[", "]"));
    }

    static List<Uuid> sorted(List<Uuid> ids) {
        return ids.stream().sorted((a, b) -> {
            int high = Long.compareUnsigned(a.getMostSignificantBits(), b.getMostSignificantBits());
            return high != 0 ? high : Long.compareUnsigned(a.getLeastSignificantBits(), b.getLeastSignificantBits());
        }).toList();
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    static void settings(MetadataImage image) {
        var features = new TreeMap<String, Short>(image.features().finalizedVersions());
        image.features().metadataVersion().ifPresent(v -> features.put("metadata.version", v.featureLevel()));
        features.forEach((name, level) -> System.out.println("feature " + name + " " + level));
        var configs = new TreeSet<String>();
        image.configs().resourceData().forEach((resource, config) -> config.data().forEach((key, value) ->
                configs.add("config " + resource.type().id() + " " + resource.name() + " " + key + "=" + value)));
        configs.forEach(System.out::println);
        var quotas = new TreeSet<String>();
        image.clientQuotas().entities().forEach((entity, values) -> values.quotas().forEach((key, value) ->
                quotas.add("quota " + new TreeMap<>(entity.entries()).entrySet().stream()
                        .map(part -> part.getKey() + ":" + (part.getValue() == null ? "<default>" : part.getValue()))
                        .collect(Collectors.joining(",", "[", "]")) + " " + key + "=" + String.format("%.3f", value))));
        quotas.forEach(System.out::println);
        var scram = new TreeSet<String>();
        image.scram().mechanisms().forEach((mechanism, users) -> users.forEach((user, credential) ->
                scram.add("scram " + mechanism.type() + " " + user + " " + credential.iterations() + " "
                        + hex(credential.salt()) + " " + hex(credential.storedKey()) + " " + hex(credential.serverKey()))));
        scram.forEach(System.out::println);
        var acls = new TreeSet<String>();
        image.acls().acls().forEach((id, acl) -> acls.add("acl " + id + " " + acl.resourceType().code() + " "
                + acl.resourceName() + " " + acl.patternType().code() + " " + acl.principal() + " " + acl.host() + " "
                + acl.operation().code() + " " + acl.permissionType().code()));
        acls.forEach(System.out::println);
        if (image.producerIds().nextProducerId() >= 0)
            System.out.println("producer-ids " + image.producerIds().nextProducerId());
    }

    static void cluster(MetadataImage image) {
        new TreeMap<>(image.cluster().brokers()).forEach((id, broker) -> {
            var features = new TreeMap<>(broker.supportedFeatures()).entrySet().stream()
                    .map(e -> e.getKey() + ":" + e.getValue().min() + "-" + e.getValue().max())
                    .collect(Collectors.joining(",", "[", "]"));
            System.out.println("broker " + id + " epoch=" + broker.epoch() + " incarnation=" + broker.incarnationId()
                    + " fenced=" + broker.fenced() + " leaving=" + broker.inControlledShutdown() + " rack="
                    + broker.rack().orElse("-") + " dirs=" + uuids(sorted(broker.directories())) + " cordoned="
                    + (broker.cordonedDirectories() == null ? "-" : uuids(sorted(broker.cordonedDirectories())))
                    + " features=" + features);
            broker.listeners().values().forEach(e -> System.out.println("endpoint " + id + " " + e.listener() + " "
                    + e.host() + ":" + e.port() + " " + e.securityProtocol().id));
        });
        new TreeMap<>(image.cluster().controllers()).forEach((id, controller) -> System.out.println(
                "controller " + id + " incarnation=" + controller.incarnationId()));
    }

    static void topics(MetadataImage image) {
        new TreeMap<>(image.topics().topicsByName()).forEach((name, topic) -> {
            System.out.println("topic " + name + " " + topic.id());
            new TreeMap<>(topic.partitions()).forEach((index, p) -> System.out.println("partition " + name + " " + index
                    + " replicas=" + ids(p.replicas) + " isr=" + ids(p.isr) + " removing=" + ids(p.removingReplicas)
                    + " adding=" + ids(p.addingReplicas) + " elr=" + ids(p.elr) + " last=" + ids(p.lastKnownElr)
                    + " dirs=" + uuids(List.of(p.directories)) + " leader=" + p.leader + " leader-epoch="
                    + p.leaderEpoch + " epoch=" + p.partitionEpoch + " recovery=" + p.leaderRecoveryState.value()));
        });
    }
}
