#include <algorithm>
#include <fmt/format.h>
#include <functional>

#include "protocol/generator/emit.h"

namespace millrace::protocol::generator {
namespace {

/// "" when always true within `context`.
std::string condition(const Range& range, const Range& context) {
    const Range part = range.intersect(context);
    if (part.covers(context)) {
        return "";
    }
    if (part.low == part.high) {
        return fmt::format("v == {}", part.low);
    }
    if (part.low <= context.low) {
        return fmt::format("v <= {}", part.high);
    }
    if (part.high >= context.high) {
        return fmt::format("v >= {}", part.low);
    }
    return fmt::format("v >= {} && v <= {}", part.low, part.high);
}

/// Functions of one struct.
class StructEmitter {
public:
    StructEmitter(const Message& message, const Struct& one)
        : message_(message),
          struct_(one),
          scope_(&one == &message.root() ? one.name
                                         : "parts::" + message.cpp_name + "::" + one.name),
          flexible_part_(message.flexible.intersect(one.context)) {
        for (const Field& field : one.fields) {
            if (field.is_tagged() && !field.versions.intersect(one.context).empty()) {
                tagged_.push_back(&field);
            }
        }
        std::sort(tagged_.begin(), tagged_.end(),
                  [](const Field* a, const Field* b) { return a->tag < b->tag; });
    }

    std::string emit() {
        emit_decode();
        emit_encode();
        emit_print();
        emit_equal();
        return std::move(out_);
    }

private:
    void line(int depth, const std::string& text) {
        out_.append(static_cast<std::size_t>(depth) * 4, ' ');
        out_ += text;
        out_ += '\n';
    }

    bool is_root() const { return &struct_ == &message_.root(); }
    bool ever_flexible() const { return !flexible_part_.empty(); }

    /// The argument that says whether lengths are compact.
    std::string compact(const Field& field) const {
        if (field.never_compact || !ever_flexible()) {
            return "false";
        }
        return flexible_part_.covers(struct_.context) ? "true" : "flex";
    }

    void declare_flex(int depth) {
        if (ever_flexible() && !flexible_part_.covers(struct_.context)) {
            line(depth,
                 fmt::format("[[maybe_unused]] const bool flex = v >= {};", flexible_part_.low));
        }
    }

    /// `if (...) {` around what `inside` emits, or nothing around it.
    void guarded(int depth, const std::string& test, const std::function<void(int)>& inside) {
        if (test.empty()) {
            inside(depth);
            return;
        }
        line(depth, fmt::format("if ({}) {{", test));
        inside(depth + 1);
        line(depth, "}");
    }

    /// Emits `nullable(depth)` for the versions where null may stand on the wire, else `required`.
    void by_nullability(int depth, const Field& field, const std::function<void(int)>& nullable,
                        const std::function<void(int)>& required) {
        const Range present = field.versions.intersect(struct_.context);
        const Range may_be_null = field.nullable.intersect(present);
        if (!may_be_null.empty() && may_be_null.covers(present)) {
            nullable(depth);
        } else if (may_be_null.empty()) {
            required(depth);
        } else {
            line(depth, fmt::format("if ({}) {{", condition(field.nullable, present)));
            nullable(depth + 1);
            line(depth, "} else {");
            required(depth + 1);
            line(depth, "}");
        }
    }

    void emit_decode() {
        line(0, fmt::format("void {}::decode(Reader& in, [[maybe_unused]] std::int16_t v) {{",
                            scope_));
        if (is_root()) {
            line(1, fmt::format("*this = {}{{}};", message_.name));
            line(1, "if (v < min_version || v > max_version) {");
            line(2, "in.fail(\"version not known\", Code::unsupported);");
            line(2, "return;");
            line(1, "}");
        }
        declare_flex(1);
        for (const Field& field : struct_.fields) {
            if (!field.is_tagged() && !field.versions.intersect(struct_.context).empty()) {
                guarded(1, condition(field.versions, struct_.context),
                        [&](int depth) { read_field(depth, field); });
            }
        }
        if (ever_flexible()) {
            guarded(1, condition(message_.flexible, struct_.context),
                    [&](int depth) { read_tags(depth); });
        }
        line(0, "}");
    }

    void read_field(int depth, const Field& field) {
        by_nullability(
            depth, field, [&](int d) { read_value(d, field, true); },
            [&](int d) { read_value(d, field, false); });
    }

    void read_value(int depth, const Field& field, bool may_be_null) {
        const std::string& name = field.cpp_name;
        if (field.is_array) {
            const std::string target =
                !may_be_null && field.is_optional ? name + ".emplace()" : name;
            const char* infix = may_be_null ? "nullable_" : "";
            if (field.is_struct) {
                line(depth, fmt::format("read_{}structs(in, {}, v, {}, {});", infix, target,
                                        compact(field), least_of(field)));
            } else {
                line(depth, fmt::format("in.{}array({}, {});", infix, target, compact(field)));
            }
        } else if (field.is_struct) {
            if (may_be_null) {
                line(depth, fmt::format("if (in.present({})) {{", presence(field)));
                line(depth + 1, fmt::format("{}.emplace().decode(in, v);", name));
                line(depth, "} else {");
                line(depth + 1, fmt::format("{}.reset();", name));
                line(depth, "}");
            } else {
                line(depth, fmt::format("{}{}.decode(in, v);", name,
                                        field.is_optional ? ".emplace()" : ""));
            }
        } else if (is_variable(field)) {
            line(depth, fmt::format("{} = in.{}{}({});", name, may_be_null ? "nullable_" : "",
                                    field.type, compact(field)));
        } else {
            line(depth, fmt::format("{} = in.{}();", name, method(field)));
        }
    }

    static std::string presence(const Field& field) {
        return field.is_tagged() ? "Presence::tagged" : "Presence::plain";
    }

    std::string part(const Field& field) const {
        return "parts::" + message_.cpp_name + "::" + field.type;
    }

    int least_of(const Field& field) const {
        return std::max(1, message_.find(field.type)->least_size);
    }

    static bool is_variable(const Field& field) {
        return field.type == "string" || field.type == "bytes" || field.type == "records";
    }

    static std::string method(const Field& field) {
        return field.type == "bool" ? "boolean" : field.type;
    }

    void read_tags(int depth) {
        if (tagged_.empty()) {
            line(depth, "in.unknown_tags(unknown_tags);");
            return;
        }
        line(depth, "for (TagReader tags(in); tags.next();) {");
        line(depth + 1, "switch (tags.tag()) {");
        for (const Field* field : tagged_) {
            line(depth + 2, fmt::format("case {}:", field->tag));
            const std::string test =
                condition(field->versions, message_.flexible.intersect(struct_.context));
            guarded(depth + 3, test, [&](int d) {
                // What is there twice counts as it is there last: nothing of the first is left.
                if (field->is_struct && !field->is_optional) {
                    line(d, fmt::format("{} = {{}};", field->cpp_name));
                }
                read_field(d, *field);
                line(d, "break;");
            });
            if (!test.empty()) {
                line(depth + 3, "in.fail(\"tagged field of another version\");");
                line(depth + 3, "break;");
            }
        }
        line(depth + 2, "default:");
        line(depth + 3, "tags.keep(unknown_tags);");
        line(depth + 1, "}");
        line(depth, "}");
    }

    void emit_encode() {
        line(0, fmt::format("void {}::encode(Writer& out, [[maybe_unused]] std::int16_t v) "
                            "const {{",
                            scope_));
        if (is_root()) {
            line(1, "if (v < min_version || v > max_version) {");
            line(2, "out.fail(Code::unsupported, \"version not known\");");
            line(2, "return;");
            line(1, "}");
            line(1, "const Writer::Burst burst(out);");
        }
        declare_flex(1);
        for (const Field& field : struct_.fields) {
            write_or_refuse(field);
        }
        if (ever_flexible()) {
            guarded(1, condition(message_.flexible, struct_.context),
                    [&](int depth) { write_tags(depth); });
        }
        line(0, "}");
    }

    void write_or_refuse(const Field& field) {
        const Range present = field.versions.intersect(struct_.context);
        const std::string test =
            present.empty() ? "false" : condition(field.versions, struct_.context);
        const bool written = !field.is_tagged() && !present.empty();
        if (written) {
            guarded(1, test, [&](int depth) { write_field(depth, field); });
        }
        if (test.empty() || field.ignorable) {
            return;
        }
        const std::string absent =
            test == "false" ? is_set(field) : fmt::format("!({}) && {}", test, is_set(field));
        line(1, fmt::format("if ({}) {{", absent));
        line(2, fmt::format("out.fail_field(\"{}.{}\", v);", struct_.name, field.name));
        line(1, "}");
    }

    /// Differs from its default.
    std::string is_set(const Field& field) const {
        const std::string& name = field.cpp_name;
        if (field.is_optional) {
            if (default_is_null(field)) {
                return name + ".has_value()";
            }
            if (field.is_array) {
                return fmt::format("(!{0} || !{0}->empty())", name);
            }
            if (field.is_struct) {
                return fmt::format("({} != {}{{}})", name, part(field));
            }
            return fmt::format("(!{0} || !{0}->empty())", name);
        }
        if (field.is_array || field.type == "bytes") {
            return fmt::format("!{}.empty()", name);
        }
        if (field.type == "records") {
            return fmt::format("({}.size() != 0)", name);
        }
        if (field.is_struct) {
            return fmt::format("({} != {}{{}})", name, part(field));
        }
        if (field.type == "bool") {
            return field.fallback == "true" ? "!" + name : name;
        }
        return fmt::format("({} != {}{{{}}})", name, plain_type(field), default_literal(field));
    }

    void write_field(int depth, const Field& field) {
        by_nullability(
            depth, field, [&](int d) { write_value(d, field, true); },
            [&](int d) { write_required(d, field); });
    }

    void write_required(int depth, const Field& field) {
        const std::string test = field.is_optional
                                     ? fmt::format("out.not_null({}.has_value(), \"{}.{}\")",
                                                   field.cpp_name, struct_.name, field.name)
                                     : "";
        guarded(depth, test, [&](int d) { write_value(d, field, false); });
    }

    void write_value(int depth, const Field& field, bool may_be_null) {
        const std::string& name = field.cpp_name;
        const std::string value = !may_be_null && field.is_optional ? "*" + name : name;
        const char* infix = may_be_null ? "nullable_" : "";
        if (field.is_array && field.is_struct) {
            line(depth,
                 fmt::format("write_{}structs(out, {}, v, {});", infix, value, compact(field)));
        } else if (field.is_array) {
            line(depth, fmt::format("out.{}array({}, {});", infix, value, compact(field)));
        } else if (field.is_struct) {
            if (may_be_null) {
                line(depth, fmt::format("out.present({}.has_value(), {});", name, presence(field)));
                line(depth, fmt::format("if ({}) {{", name));
                line(depth + 1, fmt::format("{}->encode(out, v);", name));
                line(depth, "}");
            } else {
                line(depth,
                     fmt::format("{}{}encode(out, v);", name, field.is_optional ? "->" : "."));
            }
        } else if (is_variable(field)) {
            line(depth, fmt::format("out.{}{}({}, {});", infix, field.type, value, compact(field)));
        } else {
            line(depth, fmt::format("out.{}({});", method(field), value));
        }
    }

    void write_tags(int depth) {
        if (tagged_.empty()) {
            line(depth, "out.unknown_tags(unknown_tags);");
            return;
        }
        const Range context = message_.flexible.intersect(struct_.context);
        std::vector<std::string> names;
        std::string count;
        for (const Field* field : tagged_) {
            const std::string test = condition(field->versions, context);
            const std::string name = fmt::format("has_{}", field->tag);
            line(depth, fmt::format("const bool {} = {}{};", name,
                                    test.empty() ? "" : "(" + test + ") && ", is_set(*field)));
            count += (count.empty() ? "int{" : " + int{") + name + "}";
        }
        line(depth, fmt::format("TagWriter tags(out, {}, unknown_tags);", count));
        for (const Field* field : tagged_) {
            line(depth, fmt::format("if (has_{}) {{", field->tag));
            line(depth + 1, fmt::format("tags.begin({});", field->tag));
            write_field(depth + 1, *field);
            line(depth + 1, "tags.end();");
            line(depth, "}");
        }
        line(depth, "tags.finish();");
    }

    void emit_print() {
        line(0, fmt::format("void {}::print([[maybe_unused]] DebugPrinter& p) const {{", scope_));
        for (const Field& field : struct_.fields) {
            if (field.sensitive) {
                line(1, fmt::format("p.hidden(\"{}\");", field.cpp_name));
            } else {
                line(1, fmt::format("p.field(\"{0}\", {0});", field.cpp_name));
            }
        }
        if (ever_flexible()) {
            line(1, "p.field(\"unknown_tags\", unknown_tags);");
        }
        line(0, "}");
        if (is_root()) {
            line(0, fmt::format("std::string {}::debug_string() const {{ return "
                                "debug_text(*this); }}",
                                message_.name));
        }
    }

    // Spans have no ==; every other struct's is defaulted in the header.
    void emit_equal() {
        const bool bytes = std::any_of(struct_.fields.begin(), struct_.fields.end(),
                                       [](const Field& field) { return field.type == "bytes"; });
        if (!bytes) {
            return;
        }
        std::string text;
        for (const Field& field : struct_.fields) {
            text += text.empty() ? "" : " && ";
            text += field.type == "bytes" ? fmt::format("same_bytes(a.{0}, b.{0})", field.cpp_name)
                                          : fmt::format("a.{0} == b.{0}", field.cpp_name);
        }
        if (ever_flexible()) {
            text += " && a.unknown_tags == b.unknown_tags";
        }
        const std::string opening =
            is_root() ? "" : "namespace parts::" + message_.cpp_name + " { ";
        line(0, fmt::format("{2}bool operator==(const {0}& a, const {0}& b) {{ return {1}; }}{3}",
                            struct_.name, text, opening, is_root() ? "" : " }"));
    }

    const Message& message_;
    const Struct& struct_;
    std::string scope_;
    Range flexible_part_;
    std::vector<const Field*> tagged_;
    std::string out_;
};

}  // namespace

std::string emit_source(const Message& message) {
    std::string out;
    for (const Struct& one : message.structs) {
        out += StructEmitter(message, one).emit() + "\n";
    }
    return out;
}

}  // namespace millrace::protocol::generator
