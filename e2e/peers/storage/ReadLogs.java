import java.io.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import java.util.zip.CRC32C;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.storage.log.FetchIsolation;
import org.apache.kafka.server.util.KafkaScheduler;
import org.apache.kafka.storage.internals.log.*;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * Opens every log of a directory with Kafka's own loader, reads all of it, and prints the same line
 * for each as `storage_files read` does. Works on the directory in place: give it a copy.
 *
 *   ReadLogs crashed|clean DIR
 */
public class ReadLogs {
    public static void main(String[] args) throws Exception {
        boolean clean = args[0].equals("clean");
        File[] folders = new File(args[1]).listFiles(File::isDirectory);
        Arrays.sort(folders, Comparator.comparing(File::getName));
        var starts = new HashMap<String, Long>();
        Path checkpoint = Path.of(args[1], "log-start-offset-checkpoint");
        if (Files.exists(checkpoint)) {
            for (String line : Files.readAllLines(checkpoint)) {
                String[] words = line.split(" ");
                if (words.length == 3) starts.put(words[0] + "-" + words[1], Long.parseLong(words[2]));
            }
        }
        var scheduler = new KafkaScheduler(1);
        scheduler.startup();
        for (File folder : folders) {
            if (folder.getName().startsWith("__cluster_metadata")) continue;
            var config = new LogConfig(Map.of("retention.ms", "-1"));
            long start = starts.getOrDefault(folder.getName(), 0L);
            long recovery = clean ? Long.MAX_VALUE : 0L;
            var log = UnifiedLog.create(folder, config, start, recovery, scheduler, new BrokerTopicStats(),
                    Time.SYSTEM, 900000, new ProducerStateManagerConfig(Integer.MAX_VALUE, false), 600000,
                    new LogDirFailureChannel(1), clean, Optional.empty());
            System.out.println(line(folder.getName(), log));
            log.close();
        }
        scheduler.shutdown();
    }

    static String line(String name, UnifiedLog log) throws Exception {
        var crc = new CRC32C();
        long records = 0;
        long from = log.logStartOffset();
        while (from < log.logEndOffset()) {
            FetchDataInfo data = log.read(from, 100_000, FetchIsolation.LOG_END, true);
            long next = from;
            for (RecordBatch batch : data.records.batches()) {
                batch.ensureValid();
                for (org.apache.kafka.common.record.internal.Record record : batch) {
                    records++;
                    number(crc, record.offset());
                    number(crc, record.timestamp());
                    part(crc, record.hasKey() ? record.key() : null);
                    part(crc, record.hasValue() ? record.value() : null);
                }
                next = batch.nextOffset();
            }
            if (next == from) break;
            from = next;
        }
        var aborted = log.collectAbortedTransactions(log.logStartOffset(), log.logEndOffset());
        log.updateHighWatermark(log.logEndOffset());
        var epochs = new StringBuilder();
        for (EpochEntry entry : log.leaderEpochCache().epochEntries())
            epochs.append(entry.epoch()).append(':').append(entry.startOffset()).append(',');
        var producers = new TreeMap<Long, String>();
        log.producerStateManager().removeExpiredProducers(System.currentTimeMillis()); // as its timer does
        var sequences = log.activeProducersWithLastSequence();
        log.producerStateManager().activeProducers().forEach((id, state) ->
                producers.put(id, id + "/" + state.producerEpoch() + "/" + sequences.get(id) + ","));
        return String.format("%s start=%d end=%d records=%d digest=%08x aborted=%d stable=%d epochs=%s producers=%s",
                name, log.logStartOffset(), log.logEndOffset(), records, crc.getValue(), aborted.size(),
                log.lastStableOffset(), epochs, String.join("", producers.values()));
    }

    static void number(CRC32C crc, long value) {
        crc.update(ByteBuffer.allocate(8).putLong(0, value));
    }

    static void part(CRC32C crc, ByteBuffer bytes) {
        number(crc, bytes == null ? -1 : bytes.remaining());
        if (bytes != null) crc.update(bytes.duplicate());
    }
}
