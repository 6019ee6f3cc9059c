// What Kafka's own LogValidator (kafka-storage 4.3.1 on the class path) answers to good and bad batches.
//
//   java -cp 'libs/*' ValidatorVectors.java > verdicts.txt
//
// One case per line:
//   NAME compacted type before after stored BASE64 ok BASE64-AS-STORED
//   NAME compacted type before after stored BASE64 ERROR [index,index...]
// Accepted batches are stored at offset 1000 in leader epoch 7, at the time NOW.
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.*;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.common.utils.internals.*;
import org.apache.kafka.storage.internals.log.*;

public class ValidatorVectors {
    static final long NOW = 1_700_000_000_000L;
    static final long NONE = Long.MAX_VALUE;

    static class Rules {
        boolean compacted = false;
        TimestampType type = TimestampType.CREATE_TIME;
        long before = NONE;
        long after = 3_600_000;
        String stored = "producer";
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static ByteBuffer batch(String codec, Consumer<MemoryRecordsBuilder> fill) {
        return batch(codec, -1, (short) -1, -1, false, fill);
    }

    static ByteBuffer batch(String codec, long producer, short epoch, int sequence, boolean control,
                            Consumer<MemoryRecordsBuilder> fill) {
        var b = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), (byte) 2, Compression.of(codec).build(),
            TimestampType.CREATE_TIME, 0, NOW, producer, epoch, sequence, false, control, -1, 1 << 16);
        fill.accept(b);
        ByteBuffer built = b.build().buffer();
        byte[] copy = new byte[built.remaining()];
        built.get(copy);
        return ByteBuffer.wrap(copy);
    }

    static ByteBuffer usual(String codec) {
        return batch(codec, b -> {
            b.append(NOW - 10, bytes("k1"), bytes("v1"));
            b.append(NOW - 5, bytes("k2"), bytes("v2"));
            b.append(NOW - 7, bytes("k3"), (byte[]) null);
        });
    }

    // Changes the header (or what follows it) and makes the checksum right again.
    static ByteBuffer with(ByteBuffer batch, Consumer<ByteBuffer> change) {
        change.accept(batch);
        batch.putInt(17, (int) Crc32C.compute(batch, 21, batch.limit() - 21));
        return batch;
    }

    static void verdict(String name, Rules rules, ByteBuffer sent) throws Exception {
        byte[] copy = Arrays.copyOf(sent.array(), sent.limit());
        StringBuilder line = new StringBuilder(String.format("%s %b %s %d %d %s %s ", name, rules.compacted, rules.type,
            rules.before, rules.after, rules.stored, Base64.getEncoder().encodeToString(copy)));
        try {
            MemoryRecords records = MemoryRecords.readableRecords(sent);
            RecordBatch first = records.batches().iterator().next();
            CompressionType source = first.compressionType();
            Compression target = rules.stored.equals("producer") ? Compression.of(source).build()
                : Compression.of(rules.stored).build();
            var result = new LogValidator(records, new TopicPartition("t", 0), new FixedTime(), source, target,
                rules.compacted, (byte) 2, rules.type, rules.before, rules.after, 7, AppendOrigin.CLIENT)
                .validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(1000), new Silent(), BufferSupplier.NO_CACHING);
            ByteBuffer stored = result.validatedRecords().buffer();
            byte[] out = new byte[stored.remaining()];
            stored.duplicate().get(out);
            line.append("ok ").append(Base64.getEncoder().encodeToString(out));
        } catch (RecordValidationException e) {
            line.append(Errors.forException(e.invalidException())).append(" ").append(
                e.recordErrors().stream().map(r -> String.valueOf(r.batchIndex)).collect(Collectors.joining(",")));
        } catch (Exception e) {
            line.append(Errors.forException(e));
        }
        System.out.println(line);
    }

    public static void main(String[] args) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Rules plain = new Rules();
            Rules compacted = new Rules();
            compacted.compacted = true;
            Rules appendTime = new Rules();
            appendTime.type = TimestampType.LOG_APPEND_TIME;
            Rules strictTime = new Rules();
            strictTime.before = 1000;
            strictTime.after = 1000;
            verdict(codec + "/good", plain, usual(codec));
            verdict(codec + "/good-compacted", compacted, usual(codec));
            verdict(codec + "/good-append-time", appendTime, usual(codec));
            verdict(codec + "/wrong-max-timestamp", plain, with(usual(codec), b -> b.putLong(35, NOW + 77)));
            verdict(codec + "/wrong-max-timestamp-append-time", appendTime, with(usual(codec), b -> b.putLong(35, 5)));
            verdict(codec + "/no-timestamps", strictTime, batch(codec, b -> {
                b.append(-1, bytes("k"), bytes("v"));
                b.append(-1, bytes("k"), bytes("v"));
            }));
            verdict(codec + "/missing-keys", compacted, batch(codec, b -> {
                b.append(NOW, (byte[]) null, bytes("v"));
                b.append(NOW, bytes("k"), bytes("v"));
                b.append(NOW, (byte[]) null, bytes("v"));
            }));
            verdict(codec + "/too-early-and-late", strictTime, batch(codec, b -> {
                b.append(NOW - 1000, bytes("k"), bytes("v"));
                b.append(NOW - 1001, bytes("k"), bytes("v"));
                b.append(NOW + 1000, bytes("k"), bytes("v"));
                b.append(NOW + 1001, bytes("k"), bytes("v"));
            }));
            Rules both = new Rules();
            both.compacted = true;
            both.after = 1000;
            verdict(codec + "/missing-key-then-late", both, batch(codec, b -> {
                b.append(NOW, (byte[]) null, bytes("v"));
                b.append(NOW + 1001, bytes("k"), bytes("v"));
            }));
            verdict(codec + "/late-then-missing-key", both, batch(codec, b -> {
                b.append(NOW + 1001, bytes("k"), bytes("v"));
                b.append(NOW, (byte[]) null, bytes("v"));
            }));
            verdict(codec + "/late-is-fine-by-append-time", appendTime, batch(codec, b ->
                b.append(NOW + 99_000_000, bytes("k"), bytes("v"))));
            verdict(codec + "/claims-append-time-in-append-time-topic", appendTime,
                with(usual(codec), b -> b.putShort(21, (short) (b.getShort(21) | 8))));
            verdict(codec + "/zero-count", plain, with(usual(codec), b -> b.putInt(57, 0)));
            verdict(codec + "/negative-count", plain, with(usual(codec), b -> b.putInt(57, -3)));
            verdict(codec + "/count-above-delta", plain, with(usual(codec), b -> b.putInt(57, 4)));
            verdict(codec + "/delta-above-count", plain, with(usual(codec), b -> b.putInt(23, 3)));
            verdict(codec + "/negative-delta", plain, with(usual(codec), b -> b.putInt(23, -2)));
            verdict(codec + "/both-one-more", plain, with(usual(codec), b -> b.putInt(23, 3).putInt(57, 4)));
            verdict(codec + "/both-one-less", plain, with(usual(codec), b -> b.putInt(23, 1).putInt(57, 2)));
            verdict(codec + "/control", plain, with(usual(codec), b -> b.putShort(21, (short) (b.getShort(21) | 32))));
            verdict(codec + "/producer-without-sequence", plain, with(usual(codec), b -> b.putLong(43, 5).putShort(51, (short) 0)));
            verdict(codec + "/producer-with-sequence", plain,
                with(usual(codec), b -> b.putLong(43, 5).putShort(51, (short) 0).putInt(53, 0)));
            verdict(codec + "/unused-attribute-bits", plain, with(usual(codec), b -> b.putShort(21, (short) (b.getShort(21) | 0x80))));
            for (String stored : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                Rules other = new Rules();
                other.stored = stored;
                verdict(codec + "/to-" + stored, other, usual(codec));
            }
            verdict(codec + "/payload-garbage", plain, with(usual(codec), b -> b.put(61, (byte) 0x55).put(62, (byte) 0xaa)));
        }
        Rules plain = new Rules();
        ByteBuffer usual = usual("none");
        for (int i = 61; i < usual.limit(); i++) {
            final int at = i;
            for (int value : new int[] {0xff, 0x7f, 0x01, 0x00}) {
                verdict("none/byte-" + at + "-" + value, plain, with(usual("none"), b -> b.put(at, (byte) value)));
            }
        }
    }

    static class FixedTime implements Time {
        public long milliseconds() { return NOW; }
        public long nanoseconds() { return NOW * 1_000_000; }
        public void sleep(long ms) { }
        public void waitObject(Object o, java.util.function.Supplier<Boolean> c, long d) { }
        public org.apache.kafka.common.utils.Timer timer(long timeoutMs) { throw new UnsupportedOperationException(); }
    }

    static class Silent implements LogValidator.MetricsRecorder {
        public void recordInvalidMagic() { }
        public void recordInvalidOffset() { }
        public void recordInvalidSequence() { }
        public void recordInvalidChecksums() { }
        public void recordNoKeyCompactedTopic() { }
    }
}
