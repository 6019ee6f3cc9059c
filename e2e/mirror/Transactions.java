// Transactions.java BOOTSTRAP TOPIC: committed ones, aborted ones, and one that stays open.
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transactions {
    static KafkaProducer<String, String> producer(String bootstrap, String id) {
        var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap, "transactional.id", id,
            "transaction.timeout.ms", 600000),
            new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    public static void main(String[] args) throws Exception {
        try (var first = producer(args[0], "first"); var second = producer(args[0], "second")) {
            for (int round = 0; round < 20; ++round) {
                var one = round % 2 == 0 ? first : second;
                one.beginTransaction();
                for (int i = 0; i < 10; ++i) {
                    one.send(new ProducerRecord<>(args[1], i % 2, "k" + i, (round % 3 == 0 ? "aborted" : "committed") + round + "-" + i));
                }
                one.flush();
                if (round % 3 == 0) {
                    one.abortTransaction();
                } else {
                    one.commitTransaction();
                }
            }
        }
        var open = producer(args[0], "open");
        open.beginTransaction();
        open.send(new ProducerRecord<>(args[1], 0, "k", "never decided")).get();
        Runtime.getRuntime().halt(0); // without a word: the coordinator keeps it open until its timeout
    }
}
