# millrace_fuzz(<name> SOURCES ... [ROOMS ...] [LIBS ...] [SEEDS <program>] [MAX_LENGTH <bytes>]
#               [DEFINITIONS <definition>...])
#
# A libFuzzer target fuzz_<name>, built only with MILLRACE_FUZZ (preset fuzz). SEEDS names a target or
# a script that, run as `<program> fuzz_<name> <folder>`, writes first inputs there. tests/fuzz/run.sh
# runs all of them; it finds them in fuzz_targets.txt of the build.
function(millrace_fuzz name)
    if(NOT MILLRACE_FUZZ)
        return()
    endif()
    cmake_parse_arguments(ARG "" "SEEDS;MAX_LENGTH" "SOURCES;ROOMS;LIBS;DEFINITIONS" ${ARGN})
    add_executable(fuzz_${name} ${ARG_SOURCES})
    set(links ${ARG_LIBS})
    foreach(room ${ARG_ROOMS})
        list(APPEND links room_${room})
    endforeach()
    target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/broker ${CMAKE_SOURCE_DIR})
    target_link_libraries(fuzz_${name} PRIVATE ${links} millrace_flags -fsanitize=fuzzer)
    target_compile_definitions(fuzz_${name} PRIVATE MILLRACE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                               ${ARG_DEFINITIONS})
    set(seeds -)
    if(TARGET "${ARG_SEEDS}")
        set(seeds ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${ARG_SEEDS})
        add_dependencies(fuzz_${name} ${ARG_SEEDS})
    elseif(ARG_SEEDS)
        set(seeds ${ARG_SEEDS})
    endif()
    if(NOT ARG_MAX_LENGTH)
        set(ARG_MAX_LENGTH 4096)
    endif()
    set_property(GLOBAL APPEND_STRING PROPERTY MILLRACE_FUZZ_TARGETS
                 "fuzz_${name} ${seeds} ${ARG_MAX_LENGTH}\n")
    if(NOT TARGET fuzz_targets)
        add_custom_target(fuzz_targets)
    endif()
    add_dependencies(fuzz_targets fuzz_${name})
endfunction()

# Called once, after every folder has declared its targets.
function(millrace_write_fuzz_targets)
    if(MILLRACE_FUZZ)
        get_property(targets GLOBAL PROPERTY MILLRACE_FUZZ_TARGETS)
        file(WRITE ${CMAKE_BINARY_DIR}/fuzz_targets.txt "${targets}")
    endif()
endfunction()
