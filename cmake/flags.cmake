# Warnings, hardening and sanitizers for our own code. Linked to every room through millrace_flags.
add_library(millrace_flags INTERFACE)
target_compile_options(millrace_flags INTERFACE
    -pthread -Wall -Wextra -Wconversion -Wformat=2 -Wnon-virtual-dtor -Woverloaded-virtual -Werror
    -fno-omit-frame-pointer -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
    -ftrivial-auto-var-init=zero)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 reports false positives of these in inlined std:: code (PR105329, PR105562).
    target_compile_options(millrace_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized
        -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-dangling-pointer
        -Wno-missing-field-initializers)
else()
    target_compile_options(millrace_flags INTERFACE -Wno-missing-field-initializers
        -Wno-missing-designated-field-initializers)
endif()
target_compile_definitions(millrace_flags INTERFACE _GLIBCXX_ASSERTIONS)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_definitions(millrace_flags INTERFACE _FORTIFY_SOURCE=3)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--gc-sections)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_link_options(-fuse-ld=lld-19)
endif()

if(MILLRACE_SANITIZE)
    add_compile_options(-fsanitize=${MILLRACE_SANITIZE} -fno-sanitize-recover=all -O1)
    add_link_options(-fsanitize=${MILLRACE_SANITIZE})
endif()
if(MILLRACE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE)
    # Precompiled headers need this said: that they carry no macros of the command line, and what stands for their content.
    set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_PCH_EXTSUM=1 ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
