// Prints what Apache Kafka's own classes say about every broker, topic, group and client-metrics
// setting, one a line, tab separated; README.md says how to run it and what reads the result.
import java.util.*;
import java.util.stream.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.*;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class KafkaOptions {
    static String text(Object value) {
        if (value == null) return "\\N";
        return value.toString().replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n");
    }

    static String fallback(ConfigDef.ConfigKey key) {
        if (!key.hasDefault()) return "\\REQUIRED";
        if (key.defaultValue == null) return "\\N";
        return text(ConfigDef.convertToString(key.defaultValue, key.type));
    }

    static void print(String scope, ConfigDef.ConfigKey key, String update, String synonyms) {
        System.out.println(String.join("\t", scope, key.name, key.type.name().toLowerCase(),
            fallback(key), text(key.validator), key.importance.name().toLowerCase(),
            key.internalConfig ? "internal" : "public", update, synonyms));
    }

    static Map<String, ConfigDef.ConfigKey> sorted(ConfigDef definition) {
        return new TreeMap<>(definition.configKeys());
    }

    public static void main(String[] arguments) {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        for (var key : sorted(AbstractKafkaConfig.CONFIG_DEF).values()) {
            print("broker", key, modes.getOrDefault(key.name, "read-only"),
                String.join(",", DynamicBrokerConfig.brokerConfigSynonyms(key.name, false)));
        }
        for (var key : new TreeMap<>(DynamicConfig.Broker.configKeys()).values()) {
            if (!AbstractKafkaConfig.CONFIG_DEF.configKeys().containsKey(key.name)) {
                print("broker-dynamic", key, modes.getOrDefault(key.name, "cluster-wide"), "");
            }
        }
        for (var key : sorted(LogConfig.configDefCopy()).values()) {
            var synonyms = ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS.get(key.name);
            print("topic", key, "cluster-wide", synonyms == null ? "" : synonyms.stream()
                .map(s -> s.name() + (s.converter() == ConfigSynonym.HOURS_TO_MILLISECONDS ? "*hours"
                    : s.converter() == ConfigSynonym.MINUTES_TO_MILLISECONDS ? "*minutes" : ""))
                .collect(Collectors.joining(",")));
        }
        for (var key : sorted(GroupConfig.CONFIG_DEF).values()) {
            var synonym = GroupConfig.brokerSynonym(key.name);
            print("group", key, "cluster-wide", synonym.orElse(""));
        }
        for (var key : sorted(ClientMetricsConfigs.configDef()).values()) {
            print("client-metrics", key, "cluster-wide", "");
        }
    }
}
