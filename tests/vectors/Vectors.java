// Writes golden vectors: what Apache Kafka's own generated classes make of every message, in every
// version. `java -cp 'libs/*' Vectors.java FOLDER` writes
//
//   FOLDER/apis.txt      one line an API: versions, listeners, header versions
//   FOLDER/<family>.txt  one line a vector: name, version, kind, bytes as hex, tree
//   FOLDER/mutants.txt   one line a damaged vector: name, version, verdict, bytes as hex, "-"
//   FOLDER/twice.txt     one line a message whose known tagged fields are there twice: name, version, "twice", bytes as
//                        hex, and as hex what is written when that was read
//
// A family is the jar that a message comes from. Kinds: `default` (nothing set), `full` (everything
// set), `nulls` (null wherever it is allowed), `empty` (empty strings, bytes and arrays), `large`
// (sizes beyond one byte of varint), `tags` (full, with unknown tagged fields in every struct) and
// `random`. The tree is the message as Kafka's JSON converter shows it, with snake_case names, bytes
// as hex and records as their size; "-" where it would be big or can't show what matters.
//
// Verdicts on a mutant: `same` (read, and written again as it was), `read` (written differently, as
// text that is no UTF-8 is, or not at all) and `refused`.
//
// A message is drawn from its definition in the jar, read by its converter, written, read back and
// compared; the program fails when one does not survive that.

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.TimestampType;

public final class Vectors {
    static final ObjectMapper JSON =
            new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);

    static final Map<String, String> FAMILIES = Map.of(
            "kafka-clients", "rpc", "kafka-group-coordinator", "group",
            "kafka-transaction-coordinator", "transaction", "kafka-share-coordinator", "share",
            "kafka-metadata", "metadata", "kafka-raft", "data", "kafka-storage", "remote_log");

    static PrintStream mutants;
    static PrintStream twice;

    // The nested ones are as full, but what stands in a struct, or in every other element of an array, has
    // empty collections or is null; a message that has nothing of the kind has no such vector.
    enum Kind { DEFAULT, FULL, NULLS, EMPTY, LARGE, TAGS, RANDOM, NESTED_EMPTY, NESTED_NULLS }

    record Definition(JsonNode schema, Class<?> message, Class<?> converter) {}

    public static void main(String[] arguments) throws Exception {
        File folder = new File(arguments[0]);
        try (PrintStream out = new PrintStream(new File(folder, "apis.txt"), "UTF-8")) {
            writeApis(out);
        }
        int count = 0;
        mutants = new PrintStream(new File(folder, "mutants.txt"), "UTF-8");
        twice = new PrintStream(new File(folder, "twice.txt"), "UTF-8");
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            String family = FAMILIES.get(new File(path).getName().replaceFirst("-[0-9.]+\\.jar$", ""));
            if (family == null) {
                continue;
            }
            try (PrintStream out = new PrintStream(new File(folder, family + ".txt"), "UTF-8")) {
                for (Definition definition : definitions(path).values()) {
                    count += writeVectors(out, definition);
                }
            }
        }
        mutants.close();
        twice.close();
        System.err.println(count + " vectors");
    }

    static void writeApis(PrintStream out) {
        out.println("# key name min max max_stable listeners cluster_action forwardable headers");
        for (ApiMessageType type : ApiMessageType.values()) {
            short low = type.lowestSupportedVersion();
            short high = type.highestSupportedVersion(true);
            if (high < 0) {
                continue;
            }
            List<String> listeners = type.listeners().stream().map(Enum::name).toList();
            List<String> headers = new ArrayList<>();
            for (short v = low; v <= high; v++) {
                headers.add(type.requestHeaderVersion(v) + "/" + type.responseHeaderVersion(v));
            }
            ApiKeys key = ApiKeys.forId(type.apiKey());
            out.println(type.apiKey() + " " + type.name + " " + low + " " + high + " "
                    + type.highestSupportedVersion(false) + " " + String.join("+", listeners) + " "
                    + (key.clusterAction ? 1 : 0) + " " + (key.forwardable ? 1 : 0) + " "
                    + String.join(",", headers));
        }
    }

    // Every message of a jar, by name: its definition and the classes generated from it.
    static Map<String, Definition> definitions(String path) throws Exception {
        Map<String, Definition> found = new TreeMap<>();
        try (JarFile jar = new JarFile(path)) {
            Map<String, String> classes = new HashMap<>();
            List<JarEntry> schemas = new ArrayList<>();
            for (Enumeration<JarEntry> all = jar.entries(); all.hasMoreElements();) {
                JarEntry entry = all.nextElement();
                String name = entry.getName();
                if (name.endsWith(".class") && !name.contains("$")) {
                    String qualified = name.substring(0, name.length() - 6).replace('/', '.');
                    classes.put(qualified.substring(qualified.lastIndexOf('.') + 1), qualified);
                } else if (name.endsWith(".json")) {
                    schemas.add(entry);
                }
            }
            for (JarEntry entry : schemas) {
                try (InputStream in = jar.getInputStream(entry)) {
                    JsonNode schema = JSON.readTree(in);
                    if (schema.get("validVersions").asText().equals("none")) {
                        continue;
                    }
                    String name = schema.get("name").asText();
                    boolean suffixed = List.of("request", "response", "header")
                            .contains(schema.get("type").asText());
                    String simple = suffixed ? name + "Data" : name;
                    found.put(name, new Definition(schema, Class.forName(classes.get(simple)),
                            Class.forName(classes.get(simple + "JsonConverter"))));
                }
            }
        }
        return found;
    }

    static int writeVectors(PrintStream out, Definition definition) throws Exception {
        String name = definition.schema.get("name").asText();
        String[] bounds = definition.schema.get("validVersions").asText().split("-");
        int high = Integer.parseInt(bounds[bounds.length - 1]);
        int count = 0;
        for (int v = Integer.parseInt(bounds[0]); v <= high; v++) {
            boolean flexible = within(definition.schema.path("flexibleVersions").asText("none"), v);
            for (Kind kind : Kind.values()) {
                if (kind == Kind.TAGS && !flexible) {
                    continue;
                }
                Random random = new Random(name.hashCode() * 31L + v * 7L + kind.ordinal());
                String vector;
                try {
                    vector = vector(definition, (short) v, kind, random);
                } catch (Exception | AssertionError e) {
                    throw new IllegalStateException(name + " " + v + " " + kind, e);
                }
                if (vector != null) {
                    out.println(name + " " + v + " " + kind.name().toLowerCase() + " " + vector);
                    count++;
                }
            }
            if (flexible) {
                writeTwice(definition, (short) v, new Random(name.hashCode() * 17L + v));
            }
        }
        return count;
    }

    static String vector(Definition definition, short version, Kind kind, Random random)
            throws Exception {
        Message message = (Message) definition.message.getConstructor().newInstance();
        if (kind != Kind.DEFAULT) {
            Draw draw = new Draw(definition.schema, version, kind, random);
            JsonNode drawn = draw.message();
            if (draw.nests() && draw.gaps == 0) {
                return null;
            }
            message = read(definition, drawn, version);
        }
        if (kind == Kind.TAGS) {
            addUnknownTags(message, definition.schema.path("fields"), definition.schema, version);
        }
        byte[] body = write(message, version);
        Message again = (Message) definition.message.getConstructor().newInstance();
        again.read(new ByteBufferAccessor(ByteBuffer.wrap(body)), version);
        if (!again.equals(message) || !Arrays.equals(write(again, version), body)) {
            throw new IllegalStateException(message + " changes in a round trip: " + again);
        }
        if (kind == Kind.FULL || kind == Kind.TAGS) {
            for (int i = 0; i < 6; i++) {
                writeMutant(definition, version, mutated(body, random));
            }
        }
        String tree = "-";
        if (kind != Kind.LARGE) {
            JsonNode json = (JsonNode) call(definition.converter, "write", 3, again, version, false);
            tree = JSON.writeValueAsString(new Tree(definition.schema).of(json));
        }
        return HexFormat.of().formatHex(body) + " " + tree;
    }

    // Each pair of kinds: what is empty, null or unset in the second must leave nothing of the first.
    static void writeTwice(Definition definition, short version, Random random) throws Exception {
        List<String> tagged = new ArrayList<>();
        for (JsonNode field : definition.schema.path("fields")) {
            if (within(field.path("taggedVersions").asText("none"), version)) {
                tagged.add(camelCase(field.get("name").asText()));
            }
        }
        if (tagged.isEmpty()) {
            return;
        }
        Kind[] kinds = {Kind.FULL, Kind.RANDOM, Kind.NULLS, Kind.EMPTY};
        for (Kind first : kinds) {
            for (Kind second : kinds) {
                ObjectNode drawn = (ObjectNode) new Draw(definition.schema, version, first, random).message();
                ObjectNode other = drawn.deepCopy();
                other.setAll((ObjectNode) ((ObjectNode) new Draw(definition.schema, version, second, random)
                        .message()).retain(tagged));
                byte[] one = write(read(definition, drawn, version), version);
                byte[] two = write(read(definition, other, version), version);
                byte[] none = write(read(definition, drawn.deepCopy().remove(tagged), version), version);
                int section = none.length - 1;  // the tags come last, after their number
                if (one.length == none.length || two.length == none.length) {
                    continue;  // all at their defaults: not on the wire
                }
                byte[] bytes = joined(one, one.length, Arrays.copyOfRange(two, section + 1, two.length), one.length);
                bytes[section] += two[section];
                Message message = (Message) definition.message.getConstructor().newInstance();
                message.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
                twice.println(definition.schema.get("name").asText() + " " + version + " twice "
                        + HexFormat.of().formatHex(bytes) + " " + HexFormat.of().formatHex(write(message, version)));
            }
        }
    }

    static Message read(Definition definition, JsonNode drawn, short version) throws Exception {
        return (Message) call(definition.converter, "read", 2, drawn, version);
    }

    // One to three small damages of the kind that lengths, counts and tags are sensitive to.
    static byte[] mutated(byte[] body, Random random) {
        byte[] bytes = body;
        for (int damages = 1 + random.nextInt(3); damages > 0 && bytes.length > 0; damages--) {
            int at = random.nextInt(bytes.length);
            bytes = switch (random.nextInt(5)) {
                case 0 -> Arrays.copyOf(bytes, at);
                case 1 -> joined(bytes, at, new byte[] {(byte) random.nextInt(4)}, at);
                case 2 -> joined(bytes, at, new byte[0], at + 1);
                case 3 -> joined(bytes, at, new byte[] {(byte) (1 << random.nextInt(8))}, at + 1);
                default -> {
                    byte[] edges = {0, 1, -1, 127, -128};
                    yield joined(bytes, at, new byte[] {edges[random.nextInt(5)]}, at + 1);
                }
            };
        }
        return bytes;
    }

    static byte[] joined(byte[] bytes, int end, byte[] middle, int start) {
        ByteBuffer out = ByteBuffer.allocate(end + middle.length + bytes.length - start);
        return out.put(bytes, 0, end).put(middle).put(bytes, start, bytes.length - start).array();
    }

    static void writeMutant(Definition definition, short version, byte[] bytes) throws Exception {
        Message message = (Message) definition.message.getConstructor().newInstance();
        ByteBuffer input = ByteBuffer.wrap(bytes);
        String verdict = "refused";
        try {
            message.read(new ByteBufferAccessor(input), version);
            verdict = "read";
            byte[] used = Arrays.copyOf(bytes, input.position());
            verdict = Arrays.equals(write(message, version), used) ? "same" : "read";
        } catch (RuntimeException e) {
            // The verdict says how far it came.
        }
        mutants.println(definition.schema.get("name").asText() + " " + version + " " + verdict
                + " " + HexFormat.of().formatHex(bytes) + " -");
    }

    static byte[] write(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static Object call(Class<?> type, String method, int parameters, Object... arguments)
            throws Exception {
        Method found = Arrays.stream(type.getMethods())
                .filter(m -> m.getName().equals(method) && m.getParameterCount() == parameters)
                .findFirst().orElseThrow();
        try {
            return found.invoke(null, arguments);
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    // Tags that no version of the schema defines, of several varint sizes, one without a value.
    static void addUnknownTags(Object value, JsonNode fields, JsonNode schema, short version)
            throws Exception {
        if (value instanceof Collection<?> values) {
            for (Object element : values) {
                addUnknownTags(element, fields, schema, version);
            }
        } else if (value instanceof Message message) {
            int unused = highestTag(fields) + 1;
            List<RawTaggedField> tags = message.unknownTaggedFields();
            tags.add(new RawTaggedField(unused, new byte[] {1}));
            tags.add(new RawTaggedField(unused + 1, new byte[0]));
            tags.add(new RawTaggedField(200, new byte[140]));
            tags.add(new RawTaggedField(Integer.MAX_VALUE - 1, new byte[] {2, 3}));
            for (JsonNode field : fields) {
                String type = field.get("type").asText().replace("[]", "");
                if (Character.isUpperCase(type.charAt(0)) && present(field, version)) {
                    Field member = message.getClass().getDeclaredField(
                            camelCase(field.get("name").asText()));
                    member.setAccessible(true);
                    addUnknownTags(member.get(message), structs(schema).get(type), schema, version);
                }
            }
        }
    }

    static boolean present(JsonNode field, int version) {
        String tagged = field.path("taggedVersions").asText("none");
        return within(field.path("versions").asText(tagged), version);
    }

    static int highestTag(JsonNode fields) {
        int highest = -1;
        for (JsonNode field : fields) {
            highest = Math.max(highest, field.path("tag").asInt(-1));
        }
        return highest;
    }

    static boolean within(String range, int version) {
        if (range.equals("none")) {
            return false;
        }
        if (range.endsWith("+")) {
            return version >= Integer.parseInt(range.substring(0, range.length() - 1));
        }
        String[] bounds = range.split("-");
        return version >= Integer.parseInt(bounds[0])
                && version <= Integer.parseInt(bounds[bounds.length - 1]);
    }

    // The fields of every struct below a message: a field may name a struct defined elsewhere.
    static Map<String, JsonNode> structs(JsonNode schema) {
        Map<String, JsonNode> found = new HashMap<>();
        for (JsonNode struct : schema.path("commonStructs")) {
            found.put(struct.get("name").asText(), struct.get("fields"));
            collect(struct.get("fields"), found);
        }
        collect(schema.path("fields"), found);
        return found;
    }

    static void collect(JsonNode fields, Map<String, JsonNode> found) {
        for (JsonNode field : fields) {
            if (field.has("fields")) {
                found.put(field.get("type").asText().replace("[]", ""), field.get("fields"));
                collect(field.get("fields"), found);
            }
        }
    }

    static String camelCase(String name) {
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    static String snakeCase(String name) {
        StringBuilder out = new StringBuilder();
        boolean capital = true;
        for (char c : name.toCharArray()) {
            if (Character.isUpperCase(c) && !capital) {
                out.append('_');
            }
            capital = Character.isUpperCase(c);
            out.append(Character.toLowerCase(c));
        }
        return out.toString();
    }

    /** The converter's JSON in the words of our debug print. */
    static final class Tree {
        final JsonNode schema;
        final Map<String, JsonNode> structs;

        Tree(JsonNode schema) {
            this.schema = schema;
            this.structs = structs(schema);
        }

        JsonNode of(JsonNode json) {
            return struct(json, schema.path("fields"));
        }

        JsonNode struct(JsonNode json, JsonNode fields) {
            ObjectNode out = JSON.createObjectNode();
            for (JsonNode field : fields) {
                String name = field.get("name").asText();
                JsonNode value = json.get(camelCase(name));
                JsonNode size = json.get(camelCase(name) + "SizeInBytes");
                if (size != null) {
                    out.put(snakeCase(name), size.asText() + " bytes");
                } else if (value != null) {
                    out.set(snakeCase(name), value(value, field));
                }
            }
            return out;
        }

        JsonNode value(JsonNode value, JsonNode field) {
            String type = field.get("type").asText();
            if (value.isNull()) {
                return value;
            }
            if (!type.startsWith("[]")) {
                return element(value, type, field);
            }
            ArrayNode out = JSON.createArrayNode();
            for (JsonNode each : value) {
                out.add(element(each, type.substring(2), field));
            }
            return out;
        }

        JsonNode element(JsonNode value, String type, JsonNode field) {
            if (type.equals("bytes")) {
                byte[] bytes = Base64.getDecoder().decode(value.asText());
                return JSON.getNodeFactory().textNode(HexFormat.of().formatHex(bytes));
            }
            if (Character.isUpperCase(type.charAt(0))) {
                return struct(value, field.has("fields") ? field.get("fields") : structs.get(type));
            }
            // 2.0 prints as 2 with us.
            boolean whole = value.isDouble() && value.asDouble() == value.asLong();
            return whole ? JSON.getNodeFactory().numberNode(value.asLong()) : value;
        }
    }

    /** Draws one message of one version from its definition, as the converter reads it. */
    static final class Draw {
        final JsonNode schema;
        final int version;
        final Kind kind;
        final Random random;
        final Map<String, JsonNode> structs;
        int depth = 0;
        int index = 0;
        int structsAround = 0;
        int gaps = 0;

        Draw(JsonNode schema, int version, Kind kind, Random random) {
            this.schema = schema;
            this.version = version;
            this.kind = kind;
            this.random = random;
            this.structs = structs(schema);
        }

        JsonNode message() {
            return struct(schema.path("fields"));
        }

        boolean full() {
            return kind == Kind.FULL || kind == Kind.TAGS || nests();
        }

        boolean nests() {
            return kind == Kind.NESTED_EMPTY || kind == Kind.NESTED_NULLS;
        }

        /** Whether this is a place where the nested kinds leave something out. */
        boolean gap(Kind of) {
            boolean isOne = kind == of && (depth > 0 ? index % 2 == 0 : structsAround > 0);
            gaps += isOne ? 1 : 0;
            return isOne;
        }

        ObjectNode struct(JsonNode fields) {
            ObjectNode object = JSON.createObjectNode();
            for (JsonNode field : fields) {
                String tagged = field.path("taggedVersions").asText("none");
                boolean leftOut = kind == Kind.RANDOM && within(tagged, version)
                        && random.nextInt(3) == 0;
                if (present(field, version) && !leftOut) {
                    object.set(camelCase(field.get("name").asText()), value(field));
                }
            }
            return object;
        }

        JsonNode value(JsonNode field) {
            String type = field.get("type").asText();
            if (within(field.path("nullableVersions").asText("none"), version)
                    && (kind == Kind.NULLS || gap(Kind.NESTED_NULLS)
                        || kind == Kind.RANDOM && random.nextInt(4) == 0)) {
                return JSON.nullNode();
            }
            if (!type.startsWith("[]")) {
                return scalar(type, field);
            }
            ArrayNode array = JSON.createArrayNode();
            int size = arraySize();
            int outer = index;
            depth++;
            for (int i = 0; i < size; i++) {
                index = i;
                array.add(scalar(type.substring(2), field));
            }
            depth--;
            index = outer;
            return array;
        }

        int arraySize() {
            return switch (kind) {
                case EMPTY -> 0;
                case NESTED_EMPTY -> gap(Kind.NESTED_EMPTY) ? 0 : 2;
                // Beyond one byte of varint, but along one path only: sizes must not multiply.
                case LARGE -> depth == 0 || depth == 1 && index == 0 ? 130 : 1;
                case RANDOM -> depth > 2 ? random.nextInt(2) : random.nextInt(4);
                case NULLS -> 1;
                default -> 2;
            };
        }

        JsonNode scalar(String type, JsonNode field) {
            var make = JSON.getNodeFactory();
            String fallback = field.path("default").asText("");
            return switch (type) {
                case "bool" -> make.booleanNode(full() ? !fallback.equals("true")
                        : kind == Kind.RANDOM && random.nextBoolean());
                case "int8" -> make.numberNode((byte) number(8));
                case "int16" -> make.numberNode((short) number(16));
                case "uint16" -> make.numberNode((int) (number(16) & 0xffff));
                case "int32" -> make.numberNode((int) number(32));
                case "uint32" -> make.numberNode(number(32) & 0xffffffffL);
                case "int64" -> make.numberNode(number(64));
                case "float64" -> make.numberNode(random.nextInt(1000) - 500 + 0.25);
                case "string" -> make.textNode(text());
                case "uuid" -> make.textNode(new Uuid(number(64), number(64)).toString());
                case "bytes" -> make.binaryNode(bytes());
                case "records" -> make.binaryNode(kind == Kind.EMPTY || gap(Kind.NESTED_EMPTY) ? new byte[0] : records());
                default -> {
                    structsAround++;
                    ObjectNode inner = struct(field.has("fields") ? field.get("fields") : structs.get(type));
                    structsAround--;
                    yield inner;
                }
            };
        }

        // Set means not 0, not -1 and not another default; large is for sizes, so it repeats itself.
        long number(int bits) {
            if (kind == Kind.EMPTY || kind == Kind.NULLS) {
                return 0;
            }
            if (kind == Kind.LARGE) {
                return index % 5;
            }
            long drawn = random.nextLong() >> (64 - bits);
            return full() && (drawn == 0 || drawn == -1) ? 77 : drawn;
        }

        String text() {
            if (kind == Kind.EMPTY || kind == Kind.NULLS) {
                return "";
            }
            if (kind == Kind.LARGE) {
                return index == 0 ? "long".repeat(50) : "s" + index % 5;
            }
            String alphabet = "abcxyz-_.09\u00e9\u6f22";
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(9) + (full() ? 1 : 0); i > 0; i--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            return text.toString();
        }

        byte[] bytes() {
            int size = switch (kind) {
                case EMPTY, NULLS -> 0;
                case LARGE -> index == 0 ? 300 : 3;
                default -> 1 + random.nextInt(12);
            };
            byte[] bytes = new byte[size];
            if (kind != Kind.LARGE) {
                random.nextBytes(bytes);
            }
            return bytes;
        }

        /** One batch of the current format, as a producer sends it. */
        byte[] records() {
            var builder = org.apache.kafka.common.record.internal.MemoryRecords.builder(
                    ByteBuffer.allocate(512), Compression.NONE, TimestampType.CREATE_TIME, 5);
            builder.append(1_700_000_000_000L, new byte[] {1, 2}, new byte[] {3, 4, 5});
            ByteBuffer buffer = builder.build().buffer();
            byte[] batch = new byte[buffer.remaining()];
            buffer.get(batch);
            return batch;
        }
    }
}
