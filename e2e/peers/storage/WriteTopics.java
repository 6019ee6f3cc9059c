import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

// Writes a set of topics that shows what a broker's log directory can hold.
public class WriteTopics {
    static String host;
    static Properties base(String codec) {
        var p = new Properties();
        p.put("bootstrap.servers", host);
        p.put("key.serializer", StringSerializer.class);
        p.put("value.serializer", StringSerializer.class);
        p.put("compression.type", codec);
        p.put("linger.ms", "20");
        return p;
    }
    static void send(Producer<String, String> p, String topic, int n, int from, long ts) {
        for (int i = from; i < from + n; i++) {
            var r = new ProducerRecord<>(topic, 0, ts + i, "key" + (i % 17), i % 13 == 12 && topic.startsWith("compacted") ? null : "value-" + i + "-" + "x".repeat(i % 97));
            if (i % 5 == 0) r.headers().add(new RecordHeader("h" + i, ("v" + i).getBytes()));
            p.send(r);
            if (i % 10 == 9) p.flush();
        }
        p.flush();
    }
    public static void main(String[] args) throws Exception {
        host = args[0];
        long ts = 1700000000000L;
        try (var admin = Admin.create(Map.<String, Object>of("bootstrap.servers", host))) {
            var topics = new ArrayList<NewTopic>();
            for (var c : List.of("none", "gzip", "snappy", "lz4", "zstd"))
                topics.add(new NewTopic("codec-" + c, 1, (short) 1).configs(Map.of("internal.segment.bytes", "8192", "index.interval.bytes", "1024", "retention.ms", "-1")));
            topics.add(new NewTopic("transactions", 1, (short) 1).configs(Map.of("internal.segment.bytes", "4096", "retention.ms", "-1")));
            topics.add(new NewTopic("compacted", 1, (short) 1).configs(Map.of("internal.segment.bytes", "4096", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01")));
            topics.add(new NewTopic("deleted-records", 1, (short) 1).configs(Map.of("internal.segment.bytes", "4096", "retention.ms", "-1")));
            admin.createTopics(topics).all().get();
        }
        for (var c : List.of("none", "gzip", "snappy", "lz4", "zstd"))
            try (var p = new KafkaProducer<String, String>(base(c))) { send(p, "codec-" + c, 200, 0, ts); }
        try (var p = new KafkaProducer<String, String>(base("none"))) { send(p, "compacted", 400, 0, ts); send(p, "deleted-records", 200, 0, ts); }
        for (int t = 0; t < 2; t++) {
            var props = base("lz4"); props.put("transactional.id", "tx" + t);
            try (var p = new KafkaProducer<String, String>(props)) {
                p.initTransactions();
                for (int k = 0; k < 8; k++) {
                    p.beginTransaction();
                    send(p, "transactions", 20, k * 20, ts);
                    if (k % 3 == 2) p.abortTransaction(); else p.commitTransaction();
                }
                p.beginTransaction();
                send(p, "transactions", 5, 1000, ts);
                if (t == 0) p.commitTransaction(); else { System.out.println("left open"); System.out.flush(); Runtime.getRuntime().halt(0); }
            }
        }
    }
}
