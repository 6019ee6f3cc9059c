package millrace.suite;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

import kafka.server.KafkaConfig;
import kafka.server.SharedServer;

import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.common.network.ListenerName;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.metadata.KRaftMetadataCache;
import org.apache.kafka.metadata.properties.PropertiesUtils;
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
        Runtime.getRuntime().addShutdownHook(new Thread(() -> endAllBut(Set.of())));
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

    static Set<SharedServer> all() {
        Set<SharedServer> all = Collections.newSetFromMap(new IdentityHashMap<>());
        synchronized (NODES) {
            all.addAll(NODES.keySet());
        }
        return all;
    }

    /** Ends what a test left running, but for the nodes that were there before it: those are of its class. */
    static void endAllBut(Set<SharedServer> before) {
        for (SharedServer shared : all()) {
            if (!before.contains(shared)) {
                Node node = NODES.remove(shared);
                if (node.isAlive()) {
                    node.process.destroyForcibly();
                }
            }
        }
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
        if (log == null) {
            identify();
        }
        List<String> command = new ArrayList<>(List.of(System.getenv("MILLRACE_BROKER")));
        settings().forEach((key, value) -> command.addAll(List.of("--set", key + "=" + value)));
        log = STATE.resolve("node-" + LOGS.incrementAndGet() + "-of-" + Run.current() + "-" + id() + ".log");
        try {
            process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Kafka's nodes are told who they are; a process reads it from its directories. */
    private void identify() {
        shared.metaPropsEnsemble().logDirProps().forEach((directory, properties) -> {
            File file = new File(directory, "meta.properties");
            try {
                if (file.getParentFile().isDirectory()) {
                    PropertiesUtils.writePropertiesFile(properties.toProperties(), file.getPath(), false);
                }
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    /** The test's settings; addresses with the ports that were found, and what a process beside others needs. */
    private Map<String, String> settings() {
        Map<String, String> settings = new TreeMap<>();
        config.originals().forEach((key, value) -> {
            if (value != null) {
                settings.put(key, textOf(value));
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
        settings.putAll(settingsOfTest());
        settings.keySet().stream().filter(key -> key.endsWith("ssl.keystore.location") || key.endsWith("ssl.truststore.location")).toList()
            .forEach(key -> portableStore(settings, key));
        return settings;
    }

    /** Key stores in Java's own format are written anew as PKCS12, which others can read too. */
    private static void portableStore(Map<String, String> settings, String location) {
        String prefix = location.substring(0, location.length() - "location".length());
        Path from = Path.of(settings.get(location));
        char[] password = settings.getOrDefault(prefix + "password", "").toCharArray();
        char[] keyPassword = settings.getOrDefault(prefix.replace("keystore.", "key.") + "password", new String(password)).toCharArray();
        try (InputStream in = Files.newInputStream(from)) {
            KeyStore theirs = KeyStore.getInstance("JKS");
            theirs.load(in, password);
            KeyStore ours = KeyStore.getInstance("PKCS12");
            ours.load(null, password);
            for (String alias : Collections.list(theirs.aliases())) {
                if (theirs.isKeyEntry(alias)) {
                    ours.setKeyEntry(alias, theirs.getKey(alias, keyPassword), password, theirs.getCertificateChain(alias));
                } else {
                    ours.setCertificateEntry(alias, theirs.getCertificate(alias));
                }
            }
            Path to = Path.of(from + ".p12");
            try (OutputStream out = Files.newOutputStream(to)) {
                ours.store(out, password);
            }
            settings.put(location, to.toString());
            settings.put(prefix + "type", "PKCS12");
            if (prefix.endsWith("keystore.")) {
                settings.remove(prefix.replace("keystore.", "key.") + "password"); // it is that of the store now
            }
        } catch (GeneralSecurityException | IOException e) {
            throw new IllegalStateException(location, e);
        }
    }

    private static String textOf(Object value) {
        if (value instanceof List<?> list) {
            return String.join(",", list.stream().map(Object::toString).toList());
        }
        return value instanceof Password secret ? secret.value() : value.toString();
    }

    /** settings.txt: a test, a tab, key=value; what a test needs of brokers whose defaults promise more than Kafka's. */
    private static Map<String, String> settingsOfTest() {
        Map<String, String> settings = new TreeMap<>();
        try {
            for (String line : Files.readAllLines(Path.of(System.getenv("SUITE_SETTINGS")))) {
                String[] parts = line.split("\t");
                if (!line.startsWith("#") && parts[0].endsWith("." + Run.current())) {
                    String[] setting = parts[1].split("=", 2);
                    settings.put(setting[0], setting[1]);
                }
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
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

    /** The last record of the metadata that the node has applied, -1 before anything; it tells one past it. */
    long applied() {
        return isAlive() ? Math.max(-1, Metrics.read(metricsPort, "millrace_metadata_applied_offset") - 1) : -1;
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
