package millrace.suite;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

import kafka.server.KafkaConfig;
import kafka.server.SharedServer;

import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.metadata.KRaftMetadataCache;
import org.apache.kafka.server.common.KRaftVersion;

import scala.jdk.javaapi.CollectionConverters;

/** One node of the cluster that a test asks for: a millrace-broker process with the settings, directories and ports of that node. */
final class Node {
    private static final Map<SharedServer, Node> NODES = Collections.synchronizedMap(new IdentityHashMap<>());
    private static final Path STATE = Path.of(System.getenv("MILLRACE_E2E_STATE"));
    private static final AtomicInteger LOGS = new AtomicInteger();
    private static final int FIRST_PORT = Integer.parseInt(System.getenv().getOrDefault("SUITE_PORT", "22200"));
    private static final int PORT_COUNT = 600;
    private static final AtomicInteger PORTS = new AtomicInteger();
    private static final Duration READY = Duration.ofSeconds(60);

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(Node::endAll));
    }

    private final SharedServer shared;
    private final KafkaConfig config;
    private final MetadataLog metadata;
    private final KRaftMetadataCache cache;
    private final Map<String, Integer> ports = new LinkedHashMap<>();
    private int metricsPort;
    private Process process;
    private Path log;

    static Node of(SharedServer shared) {
        return NODES.computeIfAbsent(shared, Node::new);
    }

    /** Ends what a test left running, and says how many that were. */
    static int endAll() {
        int left = 0;
        for (Node node : List.copyOf(NODES.values())) {
            if (node.isAlive()) {
                left++;
                node.process.destroyForcibly();
            }
        }
        NODES.clear();
        return left;
    }

    private Node(SharedServer shared) {
        this.shared = shared;
        this.config = shared.brokerConfig();
        this.metadata = new MetadataLog(new File(config.metadataLogDir(), "__cluster_metadata-0"));
        this.cache = new KRaftMetadataCache(config.nodeId(), () -> KRaftVersion.KRAFT_VERSION_1);
    }

    int id() {
        return config.nodeId();
    }

    KafkaConfig config() {
        return config;
    }

    SharedServer shared() {
        return shared;
    }

    synchronized boolean isAlive() {
        return process != null && process.isAlive();
    }

    synchronized int port(ListenerName listener) {
        return openPorts().getOrDefault(listener.value(), 0);
    }

    int port() {
        return port(config.interBrokerListenerName());
    }

    /** By listener. The harness has reserved some of them; those sockets make room for the process. */
    synchronized Map<String, Integer> openPorts() {
        if (ports.isEmpty()) {
            for (Endpoint endpoint : CollectionConverters.asJava(config.listeners())) {
                ports.put(endpoint.listener(), endpoint.port() != 0 ? endpoint.port() : reserve(endpoint));
            }
            metricsPort = freePort();
        }
        return ports;
    }

    /** Controllers are told to others by the port that the harness has reserved. Brokers tell their own, from where no client's port lies. */
    private int reserve(Endpoint endpoint) {
        if (!config.controllerListenerNames().contains(endpoint.listener())) {
            return freePort();
        }
        try (ServerSocketChannel socket =
                 shared.socketFactory().openServerSocket(endpoint.listener(), new InetSocketAddress(endpoint.host(), 0), 50, -1)) {
            return socket.socket().getLocalPort();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static int freePort() {
        while (true) {
            int port = FIRST_PORT + PORTS.getAndIncrement() % PORT_COUNT;
            try (ServerSocket free = new ServerSocket(port)) {
                return port;
            } catch (IOException e) {
                // somebody has it: the next
            }
        }
    }

    boolean isAlsoTheOnlyController() {
        return config.processRoles().size() == 2 && shared.controllerQuorumVotersFuture().getNow(Map.of()).size() < 3;
    }

    void startController() {
        start();
        awaitThat("takes connections of the quorum", () -> {
            try (Socket socket = new Socket("localhost", openPorts().get(config.controllerListenerNames().get(0)))) {
                return socket.isConnected();
            } catch (IOException e) {
                return false;
            }
        });
    }

    /** Returns when the controller has let the broker in, as Kafka's own start does. */
    void startBroker() {
        start();
        awaitThat("is ready", () -> Metrics.ready(metricsPort));
        awaitThat("knows itself", () -> metadataCache().hasAliveBroker(id()));
    }

    private synchronized void start() {
        if (isAlive()) {
            return;
        }
        openPorts();
        List<String> command = new ArrayList<>(List.of(System.getenv("MILLRACE_BROKER")));
        settings().forEach((key, value) -> command.addAll(List.of("--set", key + "=" + value)));
        log = STATE.resolve("node-" + LOGS.incrementAndGet() + "-of-" + Run.current() + "-" + id() + ".log");
        try {
            process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The test's settings; addresses with the ports that were found, and what a process beside others needs. */
    private Map<String, String> settings() {
        Map<String, String> settings = new TreeMap<>();
        config.originals().forEach((key, value) -> {
            if (value != null) {
                settings.put(key, value.toString());
            }
        });
        settings.keySet().removeIf(key -> key.startsWith("unstable."));
        List<String> listeners = new ArrayList<>();
        List<String> advertised = new ArrayList<>();
        List<String> controllers = config.controllerListenerNames();
        for (Endpoint endpoint : CollectionConverters.asJava(config.listeners())) {
            String address = "%s://%s:%d".formatted(endpoint.listener(), endpoint.host(), ports.get(endpoint.listener()));
            listeners.add(address);
            if (!controllers.contains(endpoint.listener())) {
                advertised.add(address);
            }
        }
        settings.put("listeners", String.join(",", listeners));
        if (!advertised.isEmpty()) {
            settings.put("advertised.listeners", String.join(",", advertised));
        } else {
            settings.remove("advertised.listeners");
        }
        List<String> voters = new ArrayList<>();
        try {
            shared.controllerQuorumVotersFuture().get(30, TimeUnit.SECONDS)
                .forEach((id, address) -> voters.add("%d@%s:%d".formatted(id, address.getHostString(), address.getPort())));
        } catch (Exception e) {
            throw new IllegalStateException("no controller has told its port", e);
        }
        if (!voters.isEmpty()) {
            settings.put("controller.quorum.voters", String.join(",", voters));
        }
        settings.put("millrace.metrics.listener", "127.0.0.1:" + metricsPort);
        settings.put("millrace.admin.listener", "");
        settings.put("millrace.config.ignore", "*");
        return settings;
    }

    /** SIGTERM, and what is still there after `patience` is killed. */
    synchronized void stop(Duration patience) {
        if (!isAlive()) {
            return;
        }
        process.destroy();
        try {
            if (!process.waitFor(Math.min(patience.toMillis(), 20_000), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        shared.loader_$eq(null); // as of a stopped broker of Kafka's: nobody waits for what it applies
    }

    /** What the node has applied of the metadata, -1 before anything. */
    long applied() {
        return isAlive() ? Metrics.read(metricsPort, "millrace_metadata_applied_offset") : -1;
    }

    boolean isActiveController() {
        return isAlive() && Metrics.read(metricsPort, "millrace_active_controller") == 1;
    }

    long metadataEnd() {
        return metadata.end();
    }

    /** The node's metadata as it has applied it, in Kafka's own image: the log on its disk is in Kafka's format. */
    MetadataImage image() {
        return metadata.imageAt(applied());
    }

    KRaftMetadataCache metadataCache() {
        cache.setImage(image());
        return cache;
    }

    private void awaitThat(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + READY.toNanos();
        while (!condition.getAsBoolean()) {
            if (!isAlive()) {
                throw new IllegalStateException("node " + id() + " ended: " + lastWords());
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException("node " + id() + " was started and not in time " + what);
            }
            try {
                TimeUnit.MILLISECONDS.sleep(20);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    private String lastWords() {
        try {
            List<String> lines = Files.readAllLines(log);
            return String.join(" | ", lines.subList(Math.max(0, lines.size() - 5), lines.size()));
        } catch (IOException e) {
            return e.toString();
        }
    }
}
