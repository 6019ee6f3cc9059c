import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's own client in a chaos test, until its input ends:
 *   produce BOOTSTRAP TOPIC PARTITION NAME INTERVAL_MS [SETTING=VALUE...]   says "@acked NUMBER OFFSET", "@failed NUMBER WHY"
 *                                                                           and last "@end UNANSWERED"
 *   read BOOTSTRAP TOPIC PARTITION [SETTING=VALUE...]                       says "@record OFFSET VALUE", and twice a second
 *                                                                           "@node ID BYTES": what came from each broker
 */
public class ChaosClient {
    static final AtomicBoolean stopped = new AtomicBoolean();

    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static Properties settings(String bootstrap, String[] args, int from) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        for (int i = from; i < args.length; ++i) {
            String[] pair = args[i].split("=", 2);
            all.put(pair[0], pair[1]);
        }
        return all;
    }

    /** A steady pace: what an outage has held up is made up for, a second's worth of it. */
    static void produce(String[] args) throws Exception {
        String topic = args[2], name = args[4];
        int partition = Integer.parseInt(args[3]);
        long interval = (long) (Double.parseDouble(args[5]) * 1e6);
        Properties settings = settings(args[1], args, 6);
        settings.putIfAbsent("enable.idempotence", "true");
        settings.putIfAbsent("acks", "all");
        settings.putIfAbsent("delivery.timeout.ms", "120000");
        settings.putIfAbsent("max.block.ms", "120000");
        AtomicLong unanswered = new AtomicLong();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            long due = System.nanoTime();
            for (long n = 0; !stopped.get(); ++n) {
                long number = n;
                unanswered.incrementAndGet();
                producer.send(new ProducerRecord<>(topic, partition, null, name + "-" + number), (metadata, error) -> {
                    unanswered.decrementAndGet();
                    say(error == null ? "@acked " + number + " " + metadata.offset()
                                      : "@failed " + number + " " + error.getClass().getSimpleName());
                });
                due = Math.max(due + interval, System.nanoTime() - 1_000_000_000L);
                long left = due - System.nanoTime();
                if (left > 0) Thread.sleep(left / 1_000_000, (int) (left % 1_000_000));
            }
            producer.flush();
        }
        say("@end " + unanswered.get());
    }

    static void read(String[] args) {
        TopicPartition partition = new TopicPartition(args[2], Integer.parseInt(args[3]));
        Properties settings = settings(args[1], args, 4);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long told = System.nanoTime();
            while (!stopped.get()) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> say("@record " + record.offset() + " " + record.value()));
                if (System.nanoTime() - told > 500_000_000L) {
                    told = System.nanoTime();
                    consumer.metrics().forEach((name, metric) -> {
                        if (name.group().equals("consumer-node-metrics") && name.name().equals("incoming-byte-total"))
                            say("@node " + name.tags().get("node-id").replace("node-", "") + " " + ((Double) metric.metricValue()).longValue());
                    });
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> modes = Map.of("produce", 6, "read", 4);
        if (args.length == 0 || !modes.containsKey(args[0]) || args.length < (Integer) modes.get(args[0])) {
            System.err.println("ChaosClient produce|read BOOTSTRAP TOPIC PARTITION ...");
            System.exit(2);
        }
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (IOException gone) {
                // Whoever asked is gone, which is an end as well.
            }
            stopped.set(true);
        });
        input.setDaemon(true);
        input.start();
        if (args[0].equals("produce")) produce(args); else read(args);
    }
}
