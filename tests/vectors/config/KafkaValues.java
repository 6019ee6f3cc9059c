// Prints how Apache Kafka reads values, and Java reads .properties files: one case a line, tab
// separated; README.md says how to run it and what reads the result.
//   value   scope name text  ok|refused  normalised
//   properties  text  key  value
import java.io.*;
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.*;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class KafkaValues {
    static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
            .replace("\r", "\\r").replace("\f", "\\f");
    }

    static List<String> samples(ConfigDef.ConfigKey key) {
        var list = new ArrayList<String>(List.of("", "abc", " 7 ", "-1", "0", "true"));
        switch (key.type) {
            case BOOLEAN: list.addAll(List.of("TRUE", "False", "yes", " false ")); break;
            case SHORT: case INT: case LONG:
                list.addAll(List.of("+5", "05", "--5", "+-5", "1e3", "1_000", "0x10", "1.0", "32767",
                    "32768", "2147483647", "2147483648", "9223372036854775807",
                    "9223372036854775808", "-2147483648", "-9223372036854775808", "-2", "-3"));
                break;
            case DOUBLE:
                list.addAll(List.of("0.5", "1e3", "+0.25", ".5", "5.", "1", "1.0001", "-0.0",
                    "123456789", "0.0001", "1.7976931348623157E308", "one"));
                break;
            case LIST:
                list.addAll(List.of("a", "a,b", " a , b ", "*", "0:1", "0:1,2:3", "0:x", "delete", "a,a", "a,,b", ",", "1@h:9", "1@h:9,2@h:9",
                    "h:9", "h:9,i:9", "[::1]:9", "delete,delete", "broker", "PLAINTEXT://:9092",
                    "compact,delete", "delete,compact", "consumer,classic", "b,a,b", "b, a ,b", "a,a,,b", "0:1,0:1", "*,*",
                    "1@h:9,1@h:9", "h:9,h:9", "broker,controller,broker", "classic,consumer,classic", "delete,compact,delete",
                    "PLAINTEXT://:9092,PLAINTEXT://:9092"));
                break;
            default:
                list.addAll(List.of("  spaced  ", "producer", "gzip", "GZIP", "CreateTime", "ssl",
                    "none", "upgrade", "UPGRADE", "latest", "Earliest", "by_duration:PT1H",
                    "by_duration:P1D", "by_duration:1h", "by_duration:", "read_committed"));
        }
        // Both sides of a range's ends.
        String rule = String.valueOf(key.validator);
        var matcher = java.util.regex.Pattern.compile("\\[(-?\\d+),\\.\\.\\.,?(-?\\d+)?\\].*").matcher(rule);
        if (matcher.matches() && key.type != ConfigDef.Type.DOUBLE) {
            for (int i = 1; i <= 2; ++i) {
                if (matcher.group(i) != null) {
                    long end = Long.parseLong(matcher.group(i));
                    list.addAll(List.of("" + (end - 1), "" + end, "" + (end + 1)));
                }
            }
        }
        return new ArrayList<>(new LinkedHashSet<>(list));
    }

    static void values(String scope, ConfigDef definition, Set<String> seen) {
        for (var key : new TreeMap<>(definition.configKeys()).values()) {
            // One option of each kind is enough; but a list doesn't tell what kind it is.
            if (key.type == ConfigDef.Type.CLASS) continue;
            if (!seen.add(scope + key.type + key.validator) && key.type != ConfigDef.Type.LIST) continue;
            for (String text : samples(key)) {
                String outcome;
                try {
                    // Not parseType() and the validator by hand: parse() also takes out of a list what it repeats.
                    Object value = new ConfigDef().define(key).parse(Map.of(key.name, text)).get(key.name);
                    outcome = "ok\t" + escape(String.valueOf(ConfigDef.convertToString(value, key.type)));
                } catch (RuntimeException refused) {
                    outcome = "refused\t";
                }
                System.out.println("value\t" + scope + "\t" + key.name + "\t" + escape(text) + "\t" + outcome);
            }
        }
    }

    static void properties(String text) throws IOException {
        var read = new Properties();
        try {
            read.load(new StringReader(text));
        } catch (IllegalArgumentException malformed) {
            System.out.println("properties\t" + escape(text) + "\tmalformed\t");
            return;
        }
        var line = new StringBuilder("properties\t" + escape(text) + "\tok");
        for (var entry : new TreeMap<>(read).entrySet()) {
            line.append("\t").append(escape((String) entry.getKey()))
                .append("\t").append(escape((String) entry.getValue()));
        }
        System.out.println(line);
    }

    public static void main(String[] arguments) throws IOException {
        var seen = new HashSet<String>();
        values("broker", AbstractKafkaConfig.CONFIG_DEF, seen);
        values("topic", LogConfig.configDefCopy(), seen);
        values("group", GroupConfig.CONFIG_DEF, seen);
        values("client-metrics", ClientMetricsConfigs.configDef(), seen);
        for (String text : List.of("a=b", "a:b", "a b", "a", "a=", "=b", "  a = b ", "a\t=\tb", "a = = b",
                "a\\=b=c", "a\\:b c", "a\\ b=c", "#a=b\nc=d", "!a=b\nc=d", "  # a\nb=c", "a=b#c", "a=1\na=2",
                "a=b\\\n  c", "a=b\\\r\n  c\nd=e", "a=b\\\\\nc=d", "a\\\n  =b", "a=b\\", "a=\\t\\n\\r\\f\\q\\\\",
                "a=\\u00e4\\u20AC", "a=\\uD83D\\uDE00", "a=\\u12", "a=\\uzzzz", "a=b\rc=d\r\ne=f\n\n\ng=h",
                "#x\\\na=b", "a=b\\\n#c\nd=e", "\fa=b", "a=b\\\n\nc=d", "a  :  b", "a:=b", "k\\#1=v", "a\\\\=b",
                "listeners=PLAINTEXT://:9092", "x=a\\,b", "\\u0061=b", "a=ä€")) {
            properties(text);
        }
    }
}
