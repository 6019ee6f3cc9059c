#include <algorithm>
#include <map>

#include "config/internal/names.h"
#include "config/internal/resolve.h"
#include "config/internal/text.h"
#include "config/value.h"

namespace millrace::config {

namespace {

std::string documentation_of(const Option& option) {
    std::string text{option.doc};
    switch (option.support) {
        case Support::honoured:
            break;
        case Support::without_effect:
            text += fmt::format(" Without effect: {}.", option.why);
            break;
        case Support::refused:
            text += fmt::format(" Not offered: {}.", option.why);
            break;
    }
    return text;
}

/// Every place that says something about one of `names`, strongest first, as Kafka lists them: all
/// names in one layer before the next layer.
std::vector<Synonym> broker_synonyms(const Layers& layers, const std::vector<std::string>& names,
                                     bool sensitive) {
    std::vector<Synonym> found;
    const auto add = [&](const std::string& name, std::string_view text, ConfigSource source) {
        found.push_back(
            {name, sensitive ? std::nullopt : std::optional{std::string{text}}, source});
    };
    const auto add_layer = [&](const Entries& entries, ConfigSource source) {
        for (const std::string& name : names) {
            if (const auto entry = entries.find(name); entry != entries.end()) {
                add(name, entry->second, source);
            }
        }
    };
    add_layer(layers.this_broker, ConfigSource::dynamic_broker);
    add_layer(layers.cluster_default, ConfigSource::dynamic_default_broker);
    add_layer(layers.given, ConfigSource::static_broker);
    for (const std::string& name : names) {
        const Option* option = find_option(Scope::broker, name);
        if (option != nullptr && option->fallback != nullptr && !option->only_dynamic) {
            add(name, option->fallback, ConfigSource::fallback);
        }
    }
    return found;
}

/// The names that stand for a broker's setting, itself among them: its alternatives, or for a
/// listener's setting the plain one too.
std::vector<std::string> names_for(std::string_view name, const Option* option) {
    if (option == nullptr || option->name != name) {
        std::vector<std::string> names{std::string{name}};
        if (option != nullptr) {
            names.emplace_back(option->name);
        }
        return names;
    }
    std::vector<std::string> names;
    for (const SynonymName& synonym : synonyms_of(*option)) {
        names.emplace_back(synonym.name);
    }
    if (names.empty()) {
        names.emplace_back(name);
    }
    return names;
}

/// What comes before the name itself in the list belongs to stronger names and is not its value.
void drop_before(std::vector<Synonym>& synonyms, std::string_view name) {
    const auto first = std::find_if(synonyms.begin(), synonyms.end(),
                                    [&](const Synonym& one) { return one.name == name; });
    synonyms.erase(synonyms.begin(), first);
}

Described described(const Option* option, std::string_view name) {
    Described out;
    out.name = name;
    out.sensitive = option == nullptr || option->sensitive();
    out.type = option == nullptr ? std::int8_t{0} : kafka_type_number(option->type);
    if (option != nullptr) {
        out.documentation = documentation_of(*option);
    }
    return out;
}

Described describe_broker_setting(const Layers& layers, std::string_view name, bool of_one_broker) {
    const Option* option = broker_option_behind(name);
    Described out = described(option, name);
    // Kafka calls a listener's setting read-only, although it takes changes of some.
    out.read_only =
        option == nullptr || option->name != name || option->update == Update::read_only;
    out.synonyms = broker_synonyms(layers, names_for(name, option), out.sensitive);
    drop_before(out.synonyms, name);
    if (!of_one_broker) {
        std::erase_if(out.synonyms, [](const Synonym& one) {
            return one.source != ConfigSource::dynamic_default_broker;
        });
    }
    out.source = out.synonyms.empty() ? ConfigSource::fallback : out.synonyms.front().source;
    return out;
}

void describe_given_names(const Layers& layers, std::map<std::string, Described>& by_name) {
    for (const Entries* entries : {&layers.this_broker, &layers.cluster_default, &layers.given}) {
        for (const auto& [name, text] : *entries) {
            if (by_name.count(name) != 0) {
                continue;
            }
            Described one = describe_broker_setting(layers, name, true);
            one.value = one.sensitive ? std::nullopt : std::optional{text};
            by_name.emplace(name, std::move(one));
        }
    }
}

}  // namespace

std::vector<Described> describe_broker(const Layers& layers) {
    const BrokerValues values = resolve_broker(layers, "");
    std::map<std::string, Described> by_name;
    for (const Option& option : options(Scope::broker)) {
        const bool is_given = layers.given.count(option.name) != 0;
        const bool is_set = is_given || layers.this_broker.count(option.name) != 0 ||
                            layers.cluster_default.count(option.name) != 0;
        if ((option.internal && !is_given) || (option.only_dynamic && !is_set)) {
            continue;
        }
        Described one = describe_broker_setting(layers, option.name, true);
        one.value = to_text(values.at(row_of(option)));
        by_name.emplace(option.name, std::move(one));
    }
    // What no table has: settings of a listener, and those passed over by millrace.config.ignore.
    describe_given_names(layers, by_name);
    std::vector<Described> all;
    for (auto& [name, one] : by_name) {
        all.push_back(std::move(one));
    }
    return all;
}

std::vector<Described> describe_cluster_default(const Layers& layers) {
    std::vector<Described> all;
    for (const auto& [name, text] : layers.cluster_default) {
        Described one = describe_broker_setting(layers, name, false);
        one.value = one.sensitive ? std::nullopt : std::optional{text};
        all.push_back(std::move(one));
    }
    return all;
}

std::vector<Described> describe_entity(const Layers& layers, Scope scope, ConfigSource own,
                                       const Entries& overrides,
                                       const std::function<Value(std::size_t row)>& value_at) {
    std::vector<Described> all;
    for (const Option& option : options(scope)) {
        const auto entry = overrides.find(option.name);
        if (option.internal && entry == overrides.end()) {
            continue;
        }
        Described one = described(&option, option.name);
        one.read_only = option.update == Update::read_only;
        one.value = to_text(value_at(row_of(option)));
        if (const auto names = synonyms_of(option); !names.empty()) {
            const Option* primary = find_option(Scope::broker, names.front().name);
            MR_ASSERT(primary != nullptr);
            one.synonyms =
                broker_synonyms(layers, names_for(primary->name, primary), one.sensitive);
            drop_before(one.synonyms, primary->name);
        } else if (scope == Scope::group && option.fallback != nullptr) {
            one.synonyms.push_back(
                {std::string{option.name}, option.fallback, ConfigSource::fallback});
        }
        if (entry != overrides.end()) {
            one.synonyms.insert(one.synonyms.begin(), {std::string{option.name}, one.value, own});
        }
        one.source = one.synonyms.empty() ? ConfigSource::fallback : one.synonyms.front().source;
        all.push_back(std::move(one));
    }
    std::sort(all.begin(), all.end(),
              [](const Described& a, const Described& b) { return a.name < b.name; });
    return all;
}

}  // namespace millrace::config
