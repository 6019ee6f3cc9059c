import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.*;

/** What every Java client is asked, written with what the oldest of them offers. */
class Checks {
    static final int PARTITIONS = 4;
    static final int EACH = Integer.parseInt(System.getenv("RECORDS"));
    static final short COPIES = (short) ("3".equals(System.getenv("NODES")) ? 3 : 1);
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");

    interface Check { String ask() throws Exception; }
    interface Action { void run() throws Exception; }

    interface DescribeTopic { TopicDescription of(String name) throws Exception; }
    /** How to ask changed between the oldest and the newest. */
    static DescribeTopic describeTopic;

    static class Failed extends RuntimeException { Failed(String why) { super(why); } }
    static class NotOffered extends RuntimeException { NotOffered(String why) { super(why); } }

    static Check notOffered(String why) { return () -> { throw new NotOffered(why); }; }

    static void expect(String what, Object want, Object got) {
        if (!Objects.equals(want, got)) throw new Failed(what + ": expected " + want + ", got " + got);
    }

    static void expectError(String what, Class<? extends Throwable> kind, Action action) throws Exception {
        try {
            action.run();
        } catch (ExecutionException error) {
            expect(what, kind, error.getCause().getClass());
            return;
        } catch (KafkaException error) {
            expect(what, kind, error.getClass());
            return;
        }
        throw new Failed(what + ": was accepted, expected " + kind.getSimpleName());
    }

    static void run(Map<String, Check> checks) {
        for (String name : System.getenv("CHECKS").split(" +")) {
            if (!checks.containsKey(name)) continue;
            long began = System.nanoTime();
            String line;
            try {
                String words = checks.get(name).ask();
                line = "ok\t" + name + "\t" + words + String.format(" (%.1f s)", (System.nanoTime() - began) / 1e9);
            } catch (NotOffered reason) {
                line = "n/a\t" + name + "\t" + reason.getMessage();
            } catch (Throwable error) {
                error.printStackTrace();
                line = "FAILED\t" + name + "\t" + (error instanceof Failed ? error.getMessage() : error.toString());
            }
            System.out.println(line.replace('\n', ' '));
            System.out.flush();
        }
        System.exit(0); // members that a failed check left behind
    }

    static final AtomicInteger names = new AtomicInteger();
    static String fresh(String prefix) { return prefix + "-" + ProcessHandle.current().pid() + "-" + names.incrementAndGet(); }

    static void eventually(String what, int seconds, BooleanSupplier isTrue) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!isTrue.getAsBoolean()) {
            if (System.nanoTime() > end) throw new Failed("not within " + seconds + " s: " + what);
            Thread.sleep(50);
        }
    }

    static void broker(String... verb) throws Exception {
        List<String> command = new ArrayList<>(Arrays.asList(verb));
        command.add(0, System.getenv("MILLRACE_CTL"));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String words = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) throw new Failed("broker.sh: " + words);
    }

    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> all = new HashMap<>();
        all.put("bootstrap.servers", BOOTSTRAP);
        for (int i = 0; i < pairs.length; i += 2) all.put((String) pairs[i], pairs[i + 1]);
        return all;
    }

    static final AdminClient admin = AdminClient.create(settings());

    static String newTopic(int partitions, String... configs) throws Exception {
        String name = fresh("java");
        Map<String, String> chosen = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) chosen.put(configs[i], configs[i + 1]);
        admin.createTopics(Collections.singleton(new NewTopic(name, partitions, COPIES).configs(chosen))).all().get();
        return name;
    }

    /** What is sent and must come back. */
    static class Sent {
        final int partition; final byte[] key, value; final List<Map.Entry<String, byte[]>> headers;
        Sent(int partition, byte[] key, byte[] value, List<Map.Entry<String, byte[]>> headers) {
            this.partition = partition; this.key = key; this.value = value; this.headers = headers;
        }
        boolean same(ConsumerRecord<byte[], byte[]> got) {
            Header[] back = got.headers().toArray();
            if (!Arrays.equals(key, got.key()) || !Arrays.equals(value, got.value()) || back.length != headers.size()) return false;
            for (int i = 0; i < back.length; ++i) {
                if (!back[i].key().equals(headers.get(i).getKey()) || !Arrays.equals(back[i].value(), headers.get(i).getValue())) return false;
            }
            return true;
        }
    }

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static List<Sent> sample(int seed, int partitions, int each) {
        Random draw = new Random(seed);
        List<Sent> all = new ArrayList<>();
        for (int i = 0; i < each; ++i) {
            for (int p = 0; p < partitions; ++p) {
                byte[] key = i % 5 < 2 ? bytes("key-" + i % 17) : null;
                byte[] value = bytes("record " + i + " of " + p + String.join("", Collections.nCopies(draw.nextInt(8), " compressible")));
                List<Map.Entry<String, byte[]>> headers = new ArrayList<>();
                if (i % 5 == 1) value = null;
                if (i % 5 == 2) draw.nextBytes(value = new byte[draw.nextInt(300) + 1]);
                if (i % 5 == 3) {
                    headers.add(new AbstractMap.SimpleEntry<>("trace", new byte[] {0, 1, -1}));
                    headers.add(new AbstractMap.SimpleEntry<>("trace", bytes("again")));
                    headers.add(new AbstractMap.SimpleEntry<>("größe", null));
                }
                all.add(new Sent(p, key, value, headers));
            }
        }
        return all;
    }

    static List<Sent> numbered(String round, int each) {
        List<Sent> all = new ArrayList<>();
        for (int i = 0; i < each; ++i)
            for (int p = 0; p < PARTITIONS; ++p) all.add(new Sent(p, null, bytes(String.format("%s-%d-%06d", round, p, i)), Collections.emptyList()));
        return all;
    }

    static void produce(String topic, List<Sent> records, Object... options) throws Exception {
        List<java.util.concurrent.Future<RecordMetadata>> waiting = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings(options), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (Sent sent : records) waiting.add(producer.send(record(topic, sent)));
            producer.flush();
            for (java.util.concurrent.Future<RecordMetadata> one : waiting) one.get();
        }
    }

    static ProducerRecord<byte[], byte[]> record(String topic, Sent sent) {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, sent.partition < 0 ? null : sent.partition, sent.key, sent.value);
        for (Map.Entry<String, byte[]> header : sent.headers) record.headers().add(header.getKey(), header.getValue());
        return record;
    }

    static List<TopicPartition> parts(String topic, int partitions) {
        List<TopicPartition> all = new ArrayList<>();
        for (int p = 0; p < partitions; ++p) all.add(new TopicPartition(topic, p));
        return all;
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... options) {
        Map<String, Object> all = settings("auto.offset.reset", "earliest", "enable.auto.commit", "false");
        for (int i = 0; i < options.length; i += 2) all.put((String) options[i], options[i + 1]);
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Reads until `want` records came, then makes sure that no more do. */
    static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int want, int partitions, Object... options) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(options)) {
            consumer.assign(parts(topic, partitions));
            consumer.seekToBeginning(consumer.assignment());
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (got.size() < want && System.nanoTime() < end) consumer.poll(Duration.ofMillis(200)).forEach(got::add);
            consumer.poll(Duration.ofMillis(300)).forEach(got::add);
        }
        return got;
    }

    static void sameRecords(List<Sent> sent, List<ConsumerRecord<byte[], byte[]>> got) {
        expect("records", sent.size(), got.size());
        Map<Integer, Deque<Sent>> next = new HashMap<>();
        for (Sent one : sent) next.computeIfAbsent(one.partition, p -> new ArrayDeque<>()).add(one);
        for (ConsumerRecord<byte[], byte[]> one : got) {
            Deque<Sent> rest = next.get(one.partition());
            if (rest == null || rest.isEmpty()) throw new Failed("partition " + one.partition() + " returned more than it was sent");
            if (!rest.remove().same(one)) throw new Failed("partition " + one.partition() + " offset " + one.offset() + " is not what was sent");
        }
    }

    /** A member of a group with a thread of its own. */
    static class Member implements ConsumerRebalanceListener {
        final Set<Integer> owned = ConcurrentHashMap.newKeySet();
        final AtomicInteger given = new AtomicInteger(), taken = new AtomicInteger();
        final AtomicReference<Throwable> broken = new AtomicReference<>();
        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread;
        volatile boolean stop;

        Member(String group, String topic, Map<String, Integer> seen, Object... options) {
            Map<String, Object> all = settings("group.id", group, "auto.offset.reset", "earliest", "auto.commit.interval.ms", "200",
                "session.timeout.ms", "6000", "heartbeat.interval.ms", "300", "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
            for (int i = 0; i < options.length; i += 2) all.put((String) options[i], options[i + 1]);
            if ("consumer".equals(all.get("group.protocol")))
                for (String key : new String[] {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"}) all.remove(key);
            consumer = new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            thread = new Thread(() -> poll(topic, seen));
            thread.setDaemon(true);
            thread.start();
        }
        void poll(String topic, Map<String, Integer> seen) {
            try {
                consumer.subscribe(Collections.singleton(topic), this);
                while (!stop)
                    for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(100)))
                        seen.merge(new String(one.value(), StandardCharsets.UTF_8), 1, Integer::sum);
            } catch (Throwable error) {
                broken.set(error);
            } finally {
                consumer.close();
            }
        }
        public void onPartitionsRevoked(Collection<TopicPartition> gone) {
            for (TopicPartition part : gone) if (owned.remove(part.partition())) taken.incrementAndGet();
        }
        public void onPartitionsAssigned(Collection<TopicPartition> more) {
            for (TopicPartition part : more) { owned.add(part.partition()); given.incrementAndGet(); }
        }
        void leave() throws Exception {
            stop = true;
            thread.join();
            if (broken.get() != null) throw new Failed("a member ended with " + broken.get());
        }
        TreeSet<Integer> parts() { return new TreeSet<>(owned); }
    }

    static boolean share(int partitions, Member... members) {
        List<Integer> all = new ArrayList<>();
        for (Member member : members) all.addAll(member.parts());
        return all.size() == partitions && new HashSet<>(all).size() == partitions;
    }

    static int total(Map<String, Integer> seen) { return seen.values().stream().mapToInt(Integer::intValue).sum(); }

    static Map<Integer, Long> committed(String group, String topic) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().entrySet().stream()
            .filter(e -> e.getKey().topic().equals(topic) && e.getValue() != null)
            .collect(Collectors.toMap(e -> e.getKey().partition(), e -> e.getValue().offset()));
    }

    static Check joinLeave(Object... options) {
        return () -> {
            String topic = newTopic(PARTITIONS), group = fresh("group");
            Map<String, Integer> seen = new ConcurrentHashMap<>(), late = new ConcurrentHashMap<>();
            produce(topic, numbered("one", EACH));
            Member a = new Member(group, topic, seen, options);
            eventually("the first member owns all", 30, () -> a.owned.size() == PARTITIONS);
            Member b = new Member(group, topic, seen, options);
            eventually("two members share", 30, () -> share(PARTITIONS, a, b) && a.owned.size() == 2);
            produce(topic, numbered("two", EACH));
            eventually("two rounds are read", 30, () -> seen.size() == 2 * PARTITIONS * EACH);
            a.leave();
            eventually("the second member owns all", 20, () -> b.owned.size() == PARTITIONS);
            produce(topic, numbered("three", EACH));
            eventually("three rounds are read", 30, () -> seen.size() == 3 * PARTITIONS * EACH);
            b.leave();
            Map<Integer, Long> want = new HashMap<>();
            for (int p = 0; p < PARTITIONS; ++p) want.put(p, 3L * EACH);
            expect("committed offsets", want, committed(group, topic));
            produce(topic, numbered("four", EACH));
            Member c = new Member(group, topic, late, options);
            eventually("the fourth round is read", 30, () -> late.size() == PARTITIONS * EACH);
            c.leave();
            expect("records that a later member read", PARTITIONS * EACH, total(late));
            return 3 * PARTITIONS * EACH + " records over joins and leaves, " + (total(seen) - 3 * PARTITIONS * EACH) + " read again";
        };
    }

    /** This program as a member in a process of its own, so that it can die without a word. */
    static String crash(Class<?> program) throws Exception {
        String topic = newTopic(PARTITIONS), group = fresh("group");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        Member stays = new Member(group, topic, seen);
        Process dies = new ProcessBuilder(ProcessHandle.current().info().command().get(), "-cp", System.getProperty("java.class.path"),
            program.getName(), "member", group, topic).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        try {
            BufferedReader lines = new BufferedReader(new InputStreamReader(dies.getInputStream()));
            String line;
            while ((line = lines.readLine()) != null && !line.equals("owns 2")) { }
            expect("the last word of the member to be killed", "owns 2", line);
        } finally {
            dies.destroyForcibly().waitFor();
        }
        long began = System.nanoTime();
        produce(topic, numbered("after", EACH));
        eventually("the survivor owns all", 30, () -> stays.owned.size() == PARTITIONS);
        double took = (System.nanoTime() - began) / 1e9;
        if (took < 2) throw new Failed("a session of 6 s ended after " + took);
        eventually("everything is read", 20, () -> seen.size() == PARTITIONS * EACH);
        stays.leave();
        return String.format("partitions moved %.1f s after the kill, session 6 s", took);
    }

    static void beAMember(String group, String topic) throws Exception {
        Member member = new Member(group, topic, new ConcurrentHashMap<>());
        for (int last = -1; ; Thread.sleep(50)) {
            if (member.owned.size() != last) System.out.println("owns " + (last = member.owned.size()));
        }
    }

    static Check codecs(String... names) {
        return () -> {
            for (String codec : names) {
                String topic = newTopic(PARTITIONS);
                List<Sent> sent = sample(1, PARTITIONS, EACH);
                produce(topic, sent, "compression.type", codec, "linger.ms", "5");
                sameRecords(sent, readAll(topic, sent.size(), PARTITIONS));
            }
            return PARTITIONS * EACH + " records in each of " + names.length + " codecs";
        };
    }

    static String topics() throws Exception {
        String name = newTopic(3);
        Action[] bad = {
            () -> admin.createTopics(Collections.singleton(new NewTopic(name, 3, COPIES))).all().get(),
            () -> admin.createTopics(Collections.singleton(new NewTopic("no spaces", 1, COPIES))).all().get(),
            () -> admin.createTopics(Collections.singleton(new NewTopic(fresh("many"), 1, (short) 9))).all().get(),
        };
        expectError("create twice", TopicExistsException.class, bad[0]);
        expectError("create with a bad name", InvalidTopicException.class, bad[1]);
        expectError("create with too many copies", InvalidReplicationFactorException.class, bad[2]);
        String validated = fresh("validated");
        admin.createTopics(Collections.singleton(new NewTopic(validated, 2, COPIES)), new CreateTopicsOptions().validateOnly(true)).all().get();
        expect("validated only", false, admin.listTopics().names().get().contains(validated));
        expect("listed", true, admin.listTopics().names().get().contains(name));
        BooleanSupplier five = () -> {
            try { return describeTopic.of(name).partitions().size() == 5; }
            catch (Exception error) { return false; }
        };
        admin.createPartitions(Collections.singletonMap(name, NewPartitions.increaseTo(5))).all().get();
        eventually("five partitions", 10, five);
        expectError("shrink", InvalidPartitionsException.class, () -> admin.createPartitions(Collections.singletonMap(name, NewPartitions.increaseTo(2))).all().get());
        admin.deleteTopics(Collections.singleton(name)).all().get();
        expectError("delete twice", UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(Collections.singleton(name)).all().get());
        expectError("describe what is gone", UnknownTopicOrPartitionException.class, () -> describeTopic.of(name));
        return "created, validated, grown from 3 to 5, deleted; six refusals";
    }

    static ConfigEntry setting(String topic, String key) {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try { return admin.describeConfigs(Collections.singleton(resource)).all().get().get(resource).get(key); }
        catch (Exception error) { throw new Failed(error.toString()); }
    }

    static String deleteRecords() throws Exception {
        String topic = newTopic(1);
        TopicPartition part = new TopicPartition(topic, 0);
        List<Sent> sent = sample(2, 1, 100);
        produce(topic, sent);
        expect("low watermark", 40L, admin.deleteRecords(Collections.singletonMap(part, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(part).get().lowWatermark());
        sameRecords(sent.subList(40, 100), readAll(topic, 60, 1));
        expectError("delete past the end", org.apache.kafka.common.errors.OffsetOutOfRangeException.class, () -> admin.deleteRecords(Collections.singletonMap(part, RecordsToDelete.beforeOffset(101))).all().get());
        expect("low watermark after deleting all", 100L, admin.deleteRecords(Collections.singletonMap(part, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(part).get().lowWatermark());
        produce(topic, sent.subList(0, 1));
        sameRecords(sent.subList(0, 1), readAll(topic, 1, 1));
        return "100 records, 40 gone, then all";
    }

    static String brokerKilled(Object... options) throws Exception {
        String topic = newTopic(PARTITIONS);
        List<Sent> sent = numbered("n", EACH * 5);
        AtomicInteger acked = new AtomicInteger();
        AtomicReference<Throwable> trouble = new AtomicReference<>();
        Thread killer = new Thread(() -> {
            try {
                for (int third = 1; third < 3; ++third) {
                    int at = third * sent.size() / 3;
                    eventually("records are acknowledged", 60, () -> acked.get() >= at);
                    broker("crash", String.valueOf(1 + third % COPIES));
                }
            } catch (Throwable error) { trouble.set(error); }
        });
        killer.start();
        Map<String, Object> all = settings("enable.idempotence", "true", "acks", "all", "linger.ms", "1", "delivery.timeout.ms", "100000",
            "max.block.ms", "60000", "reconnect.backoff.max.ms", "500");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < sent.size(); ++i) {
                while (i - acked.get() > 500 && trouble.get() == null) Thread.sleep(1);
                producer.send(record(topic, sent.get(i)), (metadata, error) -> {
                    acked.incrementAndGet();
                    if (error != null) trouble.compareAndSet(null, error);
                });
            }
        }
        killer.join();
        expect("trouble", null, trouble.get());
        sameRecords(sent, readAll(topic, sent.size(), PARTITIONS));
        return sent.size() + " records through two kills";
    }

    static String offsetsByTime() throws Exception {
        String topic = newTopic(1);
        TopicPartition part = new TopicPartition(topic, 0);
        long base = (System.currentTimeMillis() / 1000 - 3600) * 1000;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings(), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < 100; ++i) {
                producer.send(new ProducerRecord<>(topic, 0, base + i * 1000L, null, bytes("" + i)));
                if (i % 10 == 9) producer.flush();
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            List<Long> found = new ArrayList<>();
            for (long after : new long[] {-60000, 37000, 37001, 99000, 100000}) {
                OffsetAndTimestamp at = consumer.offsetsForTimes(Collections.singletonMap(part, base + after)).get(part);
                found.add(at == null ? null : at.offset());
            }
            expect("offsets after times", Arrays.asList(0L, 37L, 38L, 99L, null), found);
            expect("earliest", 0L, consumer.beginningOffsets(Collections.singleton(part)).get(part));
            expect("latest", 100L, consumer.endOffsets(Collections.singleton(part)).get(part));
        }
        return "100 records a second apart";
    }

    static String smallFetch() throws Exception {
        String topic = newTopic(PARTITIONS);
        List<Sent> sent = sample(3, PARTITIONS, EACH);
        produce(topic, sent, "batch.size", "2000");
        sameRecords(sent, readAll(topic, sent.size(), PARTITIONS, "max.partition.fetch.bytes", "100", "fetch.max.bytes", "512"));
        return sent.size() + " records in fetches of 512 bytes";
    }

    static String largeMessage() throws Exception {
        String topic = newTopic(1, "max.message.bytes", "4194304"), small = newTopic(1);
        byte[] value = new byte[3_000_000];
        new Random(4).nextBytes(value);
        List<Sent> sent = Arrays.asList(new Sent(0, null, value, Collections.emptyList()), new Sent(0, null, bytes("small"), Collections.emptyList()));
        produce(topic, sent, "max.request.size", "5000000");
        sameRecords(sent, readAll(topic, 2, 1, "max.partition.fetch.bytes", "1000"));
        expectError("too large for its topic", RecordTooLargeException.class, () -> produce(small, sent.subList(0, 1), "max.request.size", "5000000"));
        return "3 MB there and back; refused by the default limit";
    }

    static String autoCreate() throws Exception {
        String topic = fresh("auto");
        List<Sent> sent = new ArrayList<>();
        for (int i = 0; i < 50; ++i) sent.add(new Sent(-1, bytes("" + i), bytes("" + i), Collections.emptyList()));
        produce(topic, sent);
        expect("records", 50, readAll(topic, 50, PARTITIONS).size());
        expect("partitions", PARTITIONS, describeTopic.of(topic).partitions().size());
        return "4 partitions as num.partitions says";
    }

    static String unknownTopic() throws Exception {
        expectError("describe", UnknownTopicOrPartitionException.class, () -> describeTopic.of("nowhere"));
        return "describe is refused";
    }
}
