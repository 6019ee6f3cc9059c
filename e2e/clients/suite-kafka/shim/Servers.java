package millrace.suite;

import java.time.Duration;

import net.bytebuddy.implementation.bind.annotation.Argument;
import net.bytebuddy.implementation.bind.annotation.This;

import kafka.server.BrokerServer;
import kafka.server.ControllerServer;
import kafka.server.ReplicaManager;

import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.metadata.BrokerState;
import org.apache.kafka.metadata.KRaftMetadataCache;
import org.apache.kafka.metadata.bootstrap.BootstrapDirectory;

/** What Kafka's two server classes do here instead of being servers; see Patch. */
public final class Servers {
    private Servers() { }

    public static final class OfBroker {
        private OfBroker() { }

        public static void startup(@This BrokerServer self) {
            Node node = Node.of(self.sharedServer());
            new Insides(node).furnish(self);
            node.startBroker();
        }

        public static void shutdown(@This BrokerServer self, @Argument(0) Duration patience) {
            Node node = Node.of(self.sharedServer());
            if (node.isAlsoTheOnlyController() && StackWalker.getInstance().walk(
                    frames -> frames.anyMatch(frame -> frame.getMethodName().equals("shutdownBroker")))) {
                throw Beyond.the("stops the broker in a node that stays the only controller");
            }
            node.stop(patience);
        }

        public static void awaitShutdown(@This BrokerServer self) { }

        public static boolean isShutdown(@This BrokerServer self) {
            return !Node.of(self.sharedServer()).isAlive();
        }

        public static int boundPort(@This BrokerServer self, @Argument(0) ListenerName listener) {
            return Node.of(self.sharedServer()).port(listener);
        }

        public static KRaftMetadataCache metadataCache(@This BrokerServer self) {
            return Node.of(self.sharedServer()).metadataCache();
        }

        public static BrokerState brokerState(@This BrokerServer self) {
            return Node.of(self.sharedServer()).isAlive() ? BrokerState.RUNNING : BrokerState.NOT_RUNNING;
        }

        public static ReplicaManager replicaManager(@This BrokerServer self) {
            return new Insides(Node.of(self.sharedServer())).replicaManager();
        }
    }

    public static final class OfController {
        private OfController() { }

        public static void startup(@This ControllerServer self) {
            Node node = Node.of(self.sharedServer());
            new Insides(node).furnish(self);
            // The features that the test asks for: Kafka's controllers are handed them, a process finds them where they are formatted.
            try {
                new BootstrapDirectory(self.config().metadataLogDir()).writeBinaryFile(self.bootstrapMetadata());
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            // Harnesses with one controller tell the brokers its port by this future.
            self.socketServerFirstBoundPortFuture().complete(node.openPorts().values().iterator().next());
            node.startController();
        }

        /** The process of a combined node ends with its broker, or here. */
        public static void shutdown(@This ControllerServer self) {
            Node.of(self.sharedServer()).stop(Duration.ofSeconds(20));
        }

        public static void awaitShutdown(@This ControllerServer self) { }

        public static KRaftMetadataCache metadataCache(@This ControllerServer self) {
            return Node.of(self.sharedServer()).metadataCache();
        }
    }
}
