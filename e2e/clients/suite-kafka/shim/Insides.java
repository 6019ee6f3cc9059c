package millrace.suite;

import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.mockito.Mockito;
import org.mockito.stubbing.Answer;

import kafka.cluster.Partition;
import kafka.log.LogManager;
import kafka.network.SocketServer;
import kafka.raft.KafkaRaftManager;
import kafka.server.BrokerServer;
import kafka.server.ControllerServer;
import kafka.server.KafkaApis;
import kafka.server.ReplicaManager;
import kafka.server.SharedServer;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.ListOffsetsRequest;
import org.apache.kafka.controller.Controller;
import org.apache.kafka.controller.ControllerRequestContext;
import org.apache.kafka.controller.ResultOrError;
import org.apache.kafka.coordinator.group.GroupCoordinator;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.TopicImage;
import org.apache.kafka.image.loader.MetadataLoader;
import org.apache.kafka.metadata.LeaderAndIsr;
import org.apache.kafka.metadata.MetadataCache;
import org.apache.kafka.metadata.PartitionRegistration;
import org.apache.kafka.metadata.properties.MetaProperties;
import org.apache.kafka.raft.LogOffsetMetadata;
import org.apache.kafka.raft.RaftLog;
import org.apache.kafka.server.BrokerLifecycleManager;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.UnifiedLog;

import scala.Option;
import scala.jdk.javaapi.CollectionConverters;
import scala.jdk.javaapi.OptionConverters;

/**
 * The parts of a JVM broker that Kafka's harnesses look into while they wait. What can be told from outside is: from the node's disk, its metadata,
 * its metrics or a request. Anything else is Beyond.
 */
final class Insides {
    private final Node node;

    Insides(Node node) {
        this.node = node;
    }

    void furnish(BrokerServer broker) {
        furnish(broker.sharedServer());
        broker.socketServer_$eq(stand(SocketServer.class, new SocketServers()));
        broker.dataPlaneRequestProcessor_$eq(stand(KafkaApis.class, new Apis()));
        broker.logManager_$eq(stand(LogManager.class, new Logs()));
        broker.lifecycleManager_$eq(stand(BrokerLifecycleManager.class, new Lifecycles()));
        broker.groupCoordinator_$eq(stand(GroupCoordinator.class, new Groups()));
    }

    void furnish(ControllerServer controller) {
        furnish(controller.sharedServer());
        controller.socketServer_$eq(stand(SocketServer.class, new SocketServers()));
        controller.controller_$eq(stand(Controller.class, new Controllers()));
    }

    @SuppressWarnings("unchecked")
    private void furnish(SharedServer shared) {
        shared.loader_$eq(stand(MetadataLoader.class, new Loaders()));
        shared.raftManager_$eq(stand(KafkaRaftManager.class, new Rafts()));
    }

    ReplicaManager replicaManager() {
        return stand(ReplicaManager.class, new Replicas());
    }

    /** An instance of Kafka's class whose methods are those of `ours` with the same name and parameters. */
    private static <T> T stand(Class<T> theirs, Object ours) {
        Answer<Object> answer = call -> {
            Method asked = call.getMethod();
            try {
                Method answered = ours.getClass().getMethod(asked.getName(), asked.getParameterTypes());
                answered.setAccessible(true);
                return answered.invoke(ours, call.getArguments());
            } catch (NoSuchMethodException e) {
                throw Beyond.the(theirs.getSimpleName() + "." + asked.getName());
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        };
        return Mockito.mock(theirs, Mockito.withSettings().defaultAnswer(answer).stubOnly());
    }

    private MetadataImage image() {
        return node.image();
    }

    /** Of a replica that is empty there may be no directory yet: then the one that the controller knows it in. */
    private Optional<File> directoryOf(TopicPartition partition) {
        Optional<File> there = node.config().logDirs().stream()
            .map(directory -> new File(directory, partition.toString()).getAbsoluteFile()).filter(File::isDirectory).findFirst();
        return there.or(() -> toldDirectory(partition).map(directory -> new File(directory, partition.toString()).getAbsoluteFile()));
    }

    /** A broker with several directories tells the controller which one it took a moment after it took it. */
    private Optional<String> toldDirectory(TopicPartition partition) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
        Optional<String> found = assigned(partition);
        while (found.isEmpty() && isReplica(partition) && node.isAlive() && System.nanoTime() < end) {
            try {
                TimeUnit.MILLISECONDS.sleep(20);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            found = assigned(partition);
        }
        return found;
    }

    private boolean isReplica(TopicPartition partition) {
        TopicImage topic = image().topics().getTopic(partition.topic());
        PartitionRegistration registration = topic == null ? null : topic.partitions().get(partition.partition());
        return registration != null && Arrays.stream(registration.replicas).anyMatch(replica -> replica == node.id());
    }

    private Optional<String> assigned(TopicPartition partition) {
        PartitionRegistration registration = image().topics().getPartition(
            Optional.ofNullable(image().topics().getTopic(partition.topic())).map(TopicImage::id).orElse(Uuid.ZERO_UUID), partition.partition());
        if (registration == null || Arrays.stream(registration.replicas).noneMatch(replica -> replica == node.id())) {
            return Optional.empty();
        }
        Uuid id = registration.directory(node.id());
        Map<String, MetaProperties> directories = node.shared().metaPropsEnsemble().logDirProps();
        return node.config().logDirs().stream()
            .filter(directory -> node.config().logDirs().size() == 1 || directories.get(directory).directoryId().filter(id::equals).isPresent())
            .findFirst();
    }

    private boolean holds(TopicPartition partition) {
        return directoryOf(partition).isPresent();
    }

    private Option<UnifiedLog> logOf(TopicPartition partition) {
        return holds(partition) ? Option.apply(stand(UnifiedLog.class, new Log(partition))) : Option.empty();
    }

    public final class SocketServers {
        public int boundPort(ListenerName listener) {
            return node.port(listener);
        }
    }

    public final class Apis {
        public MetadataCache metadataCache() {
            return node.metadataCache();
        }

        public String clusterId() {
            return node.shared().clusterId();
        }

        public boolean isConsumerGroupProtocolEnabled() {
            return true;
        }
    }

    public final class Logs {
        public Option<UnifiedLog> getLog(TopicPartition partition, boolean future) {
            if (future) {
                throw Beyond.the("LogManager.getLog of a future replica");
            }
            return logOf(partition);
        }

        // The default of Scala's second parameter above.
        public boolean getLog$default$2() {
            return false;
        }

        public scala.collection.Seq<File> liveLogDirs() {
            return CollectionConverters.asScala(node.config().logDirs().stream().map(File::new).toList()).toSeq();
        }
    }

    public final class Log {
        private final TopicPartition partition;

        Log(TopicPartition partition) {
            this.partition = partition;
        }

        public long logStartOffset() {
            return Wire.offset(node, partition, ListOffsetsRequest.EARLIEST_TIMESTAMP);
        }

        public long logEndOffset() {
            return Wire.offset(node, partition, ListOffsetsRequest.LATEST_TIMESTAMP);
        }

        public long size() {
            File[] segments = dir().listFiles((at, name) -> name.endsWith(".log"));
            return segments == null ? 0 : Arrays.stream(segments).mapToLong(File::length).sum();
        }

        public File dir() {
            return directoryOf(partition).orElseThrow();
        }

        public LogConfig config() {
            Properties overrides = node.metadataCache().config(
                new ConfigResource(ConfigResource.Type.TOPIC, partition.topic()));
            return LogConfig.fromProps(node.config().extractLogConfigMap(), overrides);
        }
    }

    public final class Replicas {
        public LogManager logManager() {
            return stand(LogManager.class, new Logs());
        }

        public Option<Partition> onlinePartition(TopicPartition partition) {
            return node.isAlive() && holds(partition) ? Option.apply(stand(Partition.class, new Replica(partition))) : Option.empty();
        }

        public Option<UnifiedLog> localLog(TopicPartition partition) {
            return logOf(partition);
        }
    }

    public final class Replica {
        private final TopicPartition partition;

        Replica(TopicPartition partition) {
            this.partition = partition;
        }

        private Optional<LeaderAndIsr> state() {
            return node.metadataCache().getLeaderAndIsr(partition.topic(), partition.partition());
        }

        public boolean isLeader() {
            return state().filter(found -> found.leader() == node.id()).isPresent();
        }

        public Option<UnifiedLog> leaderLogIfLocal() {
            return isLeader() ? logOf(partition) : Option.empty();
        }

        public Option<Object> leaderReplicaIdOpt() {
            return OptionConverters.toScala(state().map(found -> (Object) found.leader()));
        }

        public int getLeaderEpoch() {
            return state().orElseThrow().leaderEpoch();
        }

        public Option<UnifiedLog> log() {
            return logOf(partition);
        }
    }

    public static final class Lifecycles {
        /** A start has returned only when that was so. */
        public CompletableFuture<Void> initialUnfenceFuture() {
            return CompletableFuture.completedFuture(null);
        }
    }

    public final class Groups {
        public Properties groupMetadataTopicConfigs() {
            Properties configs = new Properties();
            configs.put("cleanup.policy", "compact");
            configs.put("compression.type", "producer");
            configs.put("segment.bytes", String.valueOf(node.config().groupCoordinatorConfig().offsetsTopicSegmentBytes()));
            return configs;
        }
    }

    public final class Loaders {
        public long lastAppliedOffset() {
            return node.applied();
        }

        public void close() { }

        public void beginShutdown() { }
    }

    public final class Rafts {
        public RaftLog raftLog() {
            return stand(RaftLog.class, new Quorums());
        }

        public void shutdown() { }
    }

    public final class Quorums {
        public LogOffsetMetadata endOffset() {
            return new LogOffsetMetadata(node.metadataEnd());
        }
    }

    public final class Controllers {
        public boolean isActive() {
            return node.isActiveController();
        }

        public void beginShutdown() { }

        public void close() { }

        public CompletableFuture<Void> waitForReadyBrokers(int least) {
            return CompletableFuture.runAsync(() -> {
                while (image().cluster().brokers().values().stream().filter(broker -> !broker.fenced()).count() < least) {
                    try {
                        TimeUnit.MILLISECONDS.sleep(20);
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                }
            });
        }

        public CompletableFuture<Map<String, Uuid>> findAllTopicIds(ControllerRequestContext context) {
            return CompletableFuture.completedFuture(new HashMap<>(image().topics().topicNameToIdView()));
        }

        public CompletableFuture<Map<String, ResultOrError<Uuid>>> findTopicIds(
                ControllerRequestContext context, Collection<String> names) {
            Map<String, ResultOrError<Uuid>> found = new HashMap<>();
            for (String name : names) {
                TopicImage topic = image().topics().getTopic(name);
                found.put(name, topic == null ? new ResultOrError<>(Errors.UNKNOWN_TOPIC_OR_PARTITION, null) : new ResultOrError<>(topic.id()));
            }
            return CompletableFuture.completedFuture(found);
        }
    }
}
