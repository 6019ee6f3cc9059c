// fmt/core.h, which is all that headers include, only declares how its own types are formatted;
// format.h defines it. Formatters of ours that build on them (Strong, Uuid, Secret, ...) would
// leave every user to include format.h. Instantiated once here instead.
#include <cstdint>
#include <fmt/format.h>

#define MR_FORMATTER(type)                                           \
    template auto fmt::formatter<type>::format<fmt::format_context>( \
        const type& value, fmt::format_context& context) const -> decltype(context.out());

MR_FORMATTER(fmt::string_view)
MR_FORMATTER(bool)
MR_FORMATTER(short)
MR_FORMATTER(int)
MR_FORMATTER(long)
MR_FORMATTER(long long)
MR_FORMATTER(unsigned short)
MR_FORMATTER(unsigned)
MR_FORMATTER(unsigned long)
MR_FORMATTER(unsigned long long)
MR_FORMATTER(double)

// What fmt::format_to in a header calls. The library has it too, under a name that clang 19 mangles
// otherwise than the compiler which built the library.
template void fmt::detail::vformat_to<char>(
    fmt::detail::buffer<char>& buffer, fmt::basic_string_view<char> format,
    fmt::basic_format_args<FMT_BUFFER_CONTEXT(fmt::type_identity_t<char>)> arguments,
    fmt::detail::locale_ref locale);
