package millrace.suite;

import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;

import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.MetadataProvenance;
import org.apache.kafka.metadata.MetadataRecordSerde;

/** A node's metadata log and snapshots, read from its disk with Kafka's classes into Kafka's image. */
final class MetadataLog {
    private final File directory;
    private final MetadataRecordSerde serde = new MetadataRecordSerde();
    private MetadataImage image = MetadataImage.EMPTY;
    private long next; // offset of the first record that the image lacks

    MetadataLog(File directory) {
        this.directory = directory;
    }

    synchronized long end() {
        long[] end = {next};
        files(".log", file -> read(file, batch -> {
            end[0] = Math.max(end[0], batch.nextOffset());
            return true;
        }));
        return end[0];
    }

    /** Up to and with the record at `last`; never goes back. */
    synchronized MetadataImage imageAt(long last) {
        if (last < next) {
            return image;
        }
        if (next == 0) {
            startFromSnapshot(last);
        }
        MetadataDelta delta = new MetadataDelta.Builder().setImage(image).build();
        long[] seen = {next, 0, 0};
        files(".log", file -> read(file, batch -> {
            if (batch.lastOffset() > last) {
                return false;
            }
            if (batch.baseOffset() >= seen[0]) {
                replay(batch, delta);
                seen[0] = batch.nextOffset();
                seen[1] = batch.partitionLeaderEpoch();
                seen[2] = batch.maxTimestamp();
            }
            return true;
        }));
        if (seen[0] > next) {
            next = seen[0];
            image = delta.apply(new MetadataProvenance(next - 1, (int) seen[1], seen[2], true));
        }
        return image;
    }

    /** Named by its end and epoch: `00000000000000000042-0000000003.checkpoint`. */
    private void startFromSnapshot(long last) {
        files(".checkpoint", file -> {
            long end = Long.parseLong(file.getName().substring(0, 20));
            if (end > next && end <= last + 1) {
                MetadataDelta delta = new MetadataDelta.Builder().setImage(image).build();
                read(file, batch -> {
                    replay(batch, delta);
                    return true;
                });
                delta.finishSnapshot();
                next = end;
                image = delta.apply(new MetadataProvenance(end - 1, 0, 0, true));
            }
            return true;
        });
    }

    private void files(String suffix, Predicate<File> each) {
        File[] files = directory.listFiles((at, name) -> name.endsWith(suffix));
        List<File> inOrder = files == null ? List.of() : Arrays.stream(files).sorted(Comparator.comparing(File::getName)).toList();
        for (File file : inOrder) {
            if (!each.test(file)) {
                return;
            }
        }
    }

    /** False once `each` has had enough. The last batch of a log may be half written yet. */
    private static boolean read(File file, Predicate<RecordBatch> each) {
        try {
            FileRecords records = FileRecords.open(file, false);
            try {
                for (RecordBatch batch : records.batches()) {
                    if (!each.test(batch)) {
                        return false;
                    }
                }
                return true;
            } finally {
                records.closeHandlers(); // close() would cut off what was appended meanwhile
            }
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void replay(RecordBatch batch, MetadataDelta delta) {
        if (batch.isControlBatch()) {
            return;
        }
        for (Record record : batch) {
            delta.replay(serde.read(new ByteBufferAccessor(record.value()), record.valueSize()).message());
        }
    }
}
