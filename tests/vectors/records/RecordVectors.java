// Batches written, and read, by Kafka's own classes (kafka-clients 4.4.0 on the class path).
//
//   java -cp 'libs/*' RecordVectors.java make > batches.txt     what the unit tests read
//   java -cp 'libs/*' RecordVectors.java log FILE...            the same of segment files (librdkafka.txt)
//   java -cp 'libs/*' RecordVectors.java check FILE             holds our batches against Kafka's reader
//
// A file is a sequence of
//   batch NAME BASE64     one batch, or one message set entry of magic 0 or 1
//   facts ...             what its header says
//   record ...            offset timestamp key value [headerkey=value ...], hex, ~ for null
//   digest COUNT CRC      instead of records, where there are many: CRC-32C over their lines
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

public class RecordVectors {
    static final long NOW = 1_700_000_000_000L;
    static final int MANY = 12;
    static final StringBuilder out = new StringBuilder();

    public static void main(String[] args) throws Exception {
        if (args[0].equals("make")) {
            make();
            System.out.print(out);
        } else if (args[0].equals("log")) {
            for (int i = 1; i < args.length; i++) {
                Path segment = Path.of(args[i]);
                String topic = segment.getParent().getFileName().toString();
                for (var batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(segment))).batches()) {
                    ByteBuffer bytes = ByteBuffer.allocate(batch.sizeInBytes());
                    batch.writeTo(bytes);
                    bytes.flip();
                    emit(topic + "@" + batch.baseOffset(), bytes);
                }
            }
            System.out.print(out);
        } else {
            check(Path.of(args[1]));
        }
    }

    static String hex(ByteBuffer b) {
        if (b == null) return "~";
        byte[] bytes = new byte[b.remaining()];
        b.duplicate().get(bytes);
        return "x" + HexFormat.of().formatHex(bytes);
    }

    static List<String> describe(MutableRecordBatch batch) {
        List<String> lines = new ArrayList<>();
        if (batch.magic() >= 2) {
            lines.add(String.format("facts base=%d last=%d epoch=%d codec=%s type=%s txn=%b control=%b horizon=%s"
                    + " max=%d producer=%d/%d/%d count=%d size=%d",
                batch.baseOffset(), batch.lastOffset(), batch.partitionLeaderEpoch(), batch.compressionType().name,
                batch.timestampType(), batch.isTransactional(), batch.isControlBatch(),
                batch.deleteHorizonMs().isPresent() ? String.valueOf(batch.deleteHorizonMs().getAsLong()) : "none",
                batch.maxTimestamp(), batch.producerId(), batch.producerEpoch(), batch.baseSequence(),
                batch.countOrNull(), batch.sizeInBytes()));
        } else {
            lines.add(String.format("facts magic=%d last=%d codec=%s size=%d", batch.magic(), batch.lastOffset(),
                batch.compressionType().name, batch.sizeInBytes()));
        }
        List<String> records = new ArrayList<>();
        for (var record : batch) {
            StringBuilder line = new StringBuilder("record " + record.offset() + " " + record.timestamp() + " "
                + hex(record.key()) + " " + hex(record.value()));
            for (Header header : record.headers()) {
                line.append(" ").append(hex(ByteBuffer.wrap(header.key().getBytes(StandardCharsets.UTF_8)))).append("=")
                    .append(hex(header.value() == null ? null : ByteBuffer.wrap(header.value())));
            }
            records.add(line.toString());
        }
        if (records.size() <= MANY) {
            lines.addAll(records);
        } else {
            CRC32C crc = new CRC32C();
            for (String line : records) crc.update((line + "\n").getBytes(StandardCharsets.UTF_8));
            lines.add("digest " + records.size() + " " + crc.getValue());
        }
        return lines;
    }

    static void emit(String name, ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        out.append("batch ").append(name).append(" ").append(Base64.getEncoder().encodeToString(copy)).append("\n");
        int batches = 0;
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(copy)).batches()) {
            batch.ensureValid();
            for (String line : describe(batch)) out.append(line).append("\n");
            ++batches;
        }
        if (batches != 1) throw new IllegalStateException(name + " holds " + batches + " batches");
    }

    static Compression of(String codec) {
        return Compression.of(codec).build();
    }

    static MemoryRecordsBuilder builder(byte magic, Compression codec, TimestampType type, long base, long producer,
                                        short epoch, int sequence, boolean txn, boolean control, int leaderEpoch) {
        return new MemoryRecordsBuilder(ByteBuffer.allocate(2 << 20), magic, codec, type, base, NOW, producer, epoch,
            sequence, txn, control, leaderEpoch, 2 << 20);
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static void fill(MemoryRecordsBuilder b, String variant) {
        switch (variant) {
            case "plain":
                b.append(NOW + 5, bytes("key-1"), bytes("value-1"));
                b.append(NOW, bytes("key-2"), bytes("value-2 value-2 value-2 value-2"));
                b.append(NOW + 90_000, bytes(""), bytes(""));
                break;
            case "nulls":
                b.append(NOW, (byte[]) null, bytes("no key"));
                b.append(NOW, bytes("tombstone"), (byte[]) null);
                b.append(-1L, (byte[]) null, (byte[]) null);
                break;
            case "headers":
                b.append(NOW - 1, bytes("k"), bytes("v"), new Header[] {new RecordHeader("trace", bytes("abc")),
                    new RecordHeader("", bytes("")), new RecordHeader("null", (byte[]) null),
                    new RecordHeader("s\u00e9mi", new byte[] {0, -1})});
                b.append(NOW, bytes("k"), bytes("v"), new Header[0]);
                break;
            case "many":
                for (int i = 0; i < 300; i++) {
                    b.append(NOW + i * 7L, bytes("user-" + i % 37), bytes(("{\"event\":\"page-view\",\"n\":" + i + "}").repeat(30 + i % 7)));
                }
                break;
            default:
                throw new IllegalArgumentException(variant);
        }
    }

    static void make() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
                for (String variant : List.of("plain", "nulls", "headers")) {
                    for (String producer : List.of("anonymous", "idempotent", "transactional")) {
                        boolean anonymous = producer.equals("anonymous");
                        if (!anonymous && !variant.equals("plain")) continue;
                        var b = builder((byte) 2, of(codec), type, 1_000_000_007L, anonymous ? -1 : 4711,
                            (short) (anonymous ? -1 : 3), anonymous ? -1 : Integer.MAX_VALUE - 1,
                            producer.equals("transactional"), false, 42);
                        fill(b, variant);
                        emit(codec + "/" + type + "/" + variant + "/" + producer, b.build().buffer());
                    }
                }
            }
            if (!codec.equals("none")) {
                var b = builder((byte) 2, of(codec), TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, false, -1);
                fill(b, "many");
                emit(codec + "/many", b.build().buffer());
            }
        }
        emitLevel("gzip-1", Compression.gzip().level(1).build());
        emitLevel("gzip-9", Compression.gzip().level(9).build());
        emitLevel("lz4-17", Compression.lz4().level(17).build());
        emitLevel("zstd-minus-5", Compression.zstd().level(-5).build());
        emitLevel("zstd-22", Compression.zstd().level(22).build());
        makeControl();
        makeCompacted();
        makeLegacy();
    }

    static void emitLevel(String name, Compression codec) {
        var b = builder((byte) 2, codec, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, false, -1);
        fill(b, "plain");
        emit("level/" + name, b.build().buffer());
    }

    static void makeControl() {
        for (ControlRecordType type : List.of(ControlRecordType.ABORT, ControlRecordType.COMMIT)) {
            emit("marker/" + type, MemoryRecords.withEndTransactionMarker(77, NOW, 5, 4711, (short) 3,
                new EndTransactionMarker(type, 12)).buffer());
        }
        var b = builder((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 9, -1, (short) -1, -1, false, true, 6);
        b.appendLeaderChangeMessage(NOW, new LeaderChangeMessage().setLeaderId(1)
            .setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1), new LeaderChangeMessage.Voter().setVoterId(2))));
        emit("quorum/leader-change", b.build().buffer());
        b = builder((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, true, 6);
        b.appendSnapshotHeaderMessage(NOW, new SnapshotHeaderRecord().setLastContainedLogTimestamp(NOW));
        emit("quorum/snapshot-header", b.build().buffer());
        b = builder((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, true, 6);
        b.appendKRaftVersionMessage(NOW, new KRaftVersionRecord().setKRaftVersion((short) 1));
        b.appendVotersMessage(NOW, new VotersRecord());
        emit("quorum/version-and-voters", b.build().buffer());
        b = builder((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 3, -1, (short) -1, -1, false, true, 6);
        b.appendSnapshotFooterMessage(NOW, new SnapshotFooterRecord());
        emit("quorum/snapshot-footer", b.build().buffer());
    }

    static void makeCompacted() {
        ByteBuffer empty = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 4711, (short) 3, 8, 100, 119, 5, TimestampType.CREATE_TIME,
            NOW, true, false);
        empty.flip();
        emit("compacted/empty", empty);
        for (String codec : List.of("none", "zstd")) {
            var b = new MemoryRecordsBuilder(
                new org.apache.kafka.common.utils.internals.ByteBufferOutputStream(ByteBuffer.allocate(1 << 16)), (byte) 2,
                of(codec), TimestampType.CREATE_TIME, 50, -1, -1, (short) -1, -1, false, false, 5, 1 << 16, NOW + 86_400_000);
            b.appendWithOffset(50, NOW, bytes("gone"), (byte[]) null);
            b.appendWithOffset(57, NOW + 1, bytes("kept"), bytes("value"));
            b.overrideLastOffset(60);
            emit("compacted/holes-" + codec, b.build().buffer());
        }
    }

    static void makeLegacy() {
        for (byte magic : new byte[] {0, 1}) {
            for (String codec : List.of("none", "gzip", "snappy", "lz4")) {
                var b = builder(magic, of(codec), TimestampType.CREATE_TIME, 500, -1, (short) -1, -1, false, false, -1);
                b.appendWithOffset(500, magic == 0 ? -1 : NOW, bytes("old"), bytes("message"));
                if (!codec.equals("none")) {
                    b.appendWithOffset(501, magic == 0 ? -1 : NOW + 9, null, bytes("another"));
                    b.appendWithOffset(503, magic == 0 ? -1 : NOW - 9, bytes("tombstone"), (byte[]) null);
                }
                emit("legacy/" + magic + "/" + codec, b.build().buffer());
            }
        }
        var b = builder((byte) 1, of("gzip"), TimestampType.LOG_APPEND_TIME, 20, -1, (short) -1, -1, false, false, -1);
        b.append(NOW - 1000, bytes("a"), bytes("b"));
        b.append(NOW - 500, bytes("c"), bytes("d"));
        emit("legacy/1/append-time", b.build().buffer());
    }

    static void check(Path file) throws Exception {
        int good = 0;
        int bad = 0;
        List<String> lines = Files.readAllLines(file);
        for (int i = 0; i < lines.size(); ) {
            String[] head = lines.get(i++).split(" ");
            List<String> ours = new ArrayList<>();
            while (i < lines.size() && !lines.get(i).startsWith("batch ")) ours.add(lines.get(i++));
            List<String> theirs = new ArrayList<>();
            try {
                for (var batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Base64.getDecoder().decode(head[2]))).batches()) {
                    batch.ensureValid();
                    theirs.addAll(describe(batch));
                }
            } catch (RuntimeException e) {
                theirs.add(e.toString());
            }
            if (ours.equals(theirs)) {
                ++good;
            } else {
                ++bad;
                System.out.println("DIFFERS " + head[1] + "\n  ours   " + ours + "\n  Kafka's " + theirs);
            }
        }
        System.out.println(good + " batches read by Kafka as we meant them, " + bad + " not");
        System.exit(bad == 0 && good > 0 ? 0 : 1);
    }
}
