# What nearly every source includes, read once: standard headers and fmt for rooms, GoogleTest beside them for tests. Saves
# about a second a file. A source still includes what it uses: preset gcc does without, and holds it to that.
option(MILLRACE_PRECOMPILED "Precompile the standard headers" ON)

set(common_headers
    <algorithm> <array> <atomic> <bit> <charconv> <chrono> <cmath> <compare> <concepts> <condition_variable> <cstddef>
    <cstdint> <cstdio> <cstdlib> <cstring> <deque> <filesystem> <fstream> <functional> <iterator> <limits> <list> <map>
    <memory> <mutex> <numeric> <optional> <random> <ranges> <set> <span> <sstream> <string> <string_view>
    <system_error> <thread> <tuple> <type_traits> <unordered_map> <unordered_set> <utility> <variant> <vector>
    <fmt/format.h>)
set(test_headers ${common_headers} <gmock/gmock.h> <gtest/gtest.h>)

# A test's own code need not be quick, only soon compiled; the rooms that it calls are the product's.
add_library(millrace_test_flags INTERFACE)
target_compile_options(millrace_test_flags INTERFACE $<$<CONFIG:Release>:-O0;-g0;-U_FORTIFY_SOURCE>)

# ccache_sum(<result>): what the precompiled headers are made of. The compiled file names its own path, so no two checkouts
# have the same one; ccache takes this in its stead.
function(ccache_sum result)
    list(TRANSFORM test_headers REPLACE "(.+)" "#include \\1\n" OUTPUT_VARIABLE text)
    file(WRITE ${CMAKE_BINARY_DIR}/precompiled.h ${text})
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -E -P -x c++ ${CMAKE_BINARY_DIR}/precompiled.h
                    OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    file(READ ${CMAKE_SOURCE_DIR}/cmake/flags.cmake flags)
    string(SHA256 sum "${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${MILLRACE_SANITIZE} ${MILLRACE_FUZZ} ${flags} ${text}")
    set(${result} ${sum} PARENT_SCOPE)
endfunction()

if(MILLRACE_PRECOMPILED AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(STATUS "Headers are precompiled with clang only")
    set(MILLRACE_PRECOMPILED OFF)
endif()
if(MILLRACE_PRECOMPILED)
    # A library and a program, for the two differ in how they are compiled.
    file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cc "int main() {}\n")
    add_library(millrace_pch STATIC ${CMAKE_BINARY_DIR}/precompiled.cc)
    target_precompile_headers(millrace_pch PRIVATE ${common_headers})
    add_executable(millrace_pch_tests EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/precompiled.cc)
    target_precompile_headers(millrace_pch_tests PRIVATE ${test_headers})
    target_link_libraries(millrace_pch_tests PRIVATE GTest::gmock millrace_test_flags)
    ccache_sum(sum)
    foreach(target millrace_pch millrace_pch_tests)
        target_link_libraries(${target} PRIVATE fmt::fmt millrace_flags)
        target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
        file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.pch.sum ${sum})
    endforeach()
endif()

# millrace_precompiled(<target> <pch>): the target starts from the headers of millrace_pch or millrace_pch_tests. As an
# option of our own, because ccache sees through it what CMake's REUSE_FROM hides: a path that differs by checkout.
function(millrace_precompiled target pch)
    if(MILLRACE_PRECOMPILED)
        set(compiled ${CMAKE_BINARY_DIR}/CMakeFiles/${pch}.dir/cmake_pch.hxx.pch)
        target_compile_options(${target} PRIVATE "SHELL:-Winvalid-pch -include-pch ${compiled}")
        # At the directory's end, for sources may be added to the target after this call.
        cmake_language(EVAL CODE "cmake_language(DEFER CALL millrace_sources_wait [[${target}]] [[${compiled}]])")
    endif()
endfunction()

function(millrace_sources_wait target compiled)
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${compiled})
endfunction()
