import java.io.File;
import java.util.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.storage.log.FetchIsolation;
import org.apache.kafka.server.util.KafkaScheduler;
import org.apache.kafka.storage.internals.log.*;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

/**
 * Compacts every log of a directory with Kafka's own cleaner, as `storage_files compact` does.
 *
 *   CompactLogs DIR AFTER_MS
 */
public class CompactLogs {
    public static void main(String[] args) throws Exception {
        long after = Long.parseLong(args[1]);
        var scheduler = new KafkaScheduler(1);
        scheduler.startup();
        File[] folders = new File(args[0]).listFiles(File::isDirectory);
        Arrays.sort(folders, Comparator.comparing(File::getName));
        for (File folder : folders) {
            var config = new LogConfig(Map.of("cleanup.policy", "compact", "internal.segment.bytes", "4096",
                    "index.interval.bytes", "512", "delete.retention.ms", "3600000", "file.delete.delay.ms", "0"));
            var log = UnifiedLog.create(folder, config, 0L, Long.MAX_VALUE, scheduler, new BrokerTopicStats(),
                    Time.SYSTEM, 900000, new ProducerStateManagerConfig(Integer.MAX_VALUE, false), 600000,
                    new LogDirFailureChannel(1), true, Optional.empty());
            log.updateHighWatermark(log.logEndOffset());
            long end = 0;
            for (LogSegment segment : log.logSegments())
                if (segment.baseOffset() <= log.lastStableOffset()) end = segment.baseOffset();
            long now = 0;
            for (LogSegment segment : log.logSegments()) now = Math.max(now, segment.maxTimestampSoFar());
            var cleaner = new Cleaner(0, new SkimpyOffsetMap(1 << 20), 1 << 20, 1 << 20, 0.9,
                    new Throttler(1e12, 300, "cleaner", "bytes", Time.SYSTEM), Time.SYSTEM, tp -> { });
            System.out.println(folder.getName() + " below " + end + " stable " + log.lastStableOffset());
            if (end > 0) cleaner.doClean(new LogToClean(log, 0, end, true), now + after);
            log.flush(true);
            log.close();
        }
        scheduler.shutdown();
    }
}
