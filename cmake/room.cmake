# millrace_room(<name> [DEPENDS <room>...] [LIBS <library>...])
#
# Declares the calling folder as a room: a static library of every *.cc below it. DEPENDS names the
# only rooms it may include; LIBS what it uses from outside. tests/unit/<name>/*.cc become the
# program test_<name>, which may also use TEST_DEPENDS and TEST_LIBS. millrace_check_rooms() holds
# the declared edges against the include lines. PLAIN is for sources with optimisation levels of their own: they can't
# start from headers precompiled at another, nor be united. APART: sources that are united among themselves, for they include
# little of what the others do, and shan't be compiled again with these. TEST_UNIT_BYTES: how much of its tests is compiled as one, where
# their headers are the most of it.
include(GoogleTest)

function(millrace_room name)
    cmake_parse_arguments(ARG "PLAIN" "EXCLUDE;APART;TEST_UNIT_BYTES" "DEPENDS;LIBS;SOURCES;TEST_DEPENDS;TEST_LIBS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
    # Programs of their own inside a room (a generator, a tool) end in _main.cc.
    list(FILTER sources EXCLUDE REGEX "_main\\.cc$")
    if(ARG_EXCLUDE)  # Sources that only such a program is made of.
        list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
    endif()
    set(apart "")
    if(ARG_APART AND NOT ARG_PLAIN)
        set(apart ${sources})
        list(FILTER apart INCLUDE REGEX "${ARG_APART}")
        list(FILTER sources EXCLUDE REGEX "${ARG_APART}")
        millrace_united(${name}_apart apart ${apart})
    endif()
    if(NOT ARG_PLAIN)
        millrace_united(${name} sources ${sources})
    endif()
    list(PREPEND sources ${apart})
    list(APPEND sources ${ARG_SOURCES})
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    set(links ${ARG_LIBS})
    foreach(dependency ${ARG_DEPENDS})
        list(APPEND links room_${dependency})
    endforeach()
    if(sources)
        add_library(room_${name} STATIC ${sources})
        target_include_directories(room_${name} PUBLIC ${CMAKE_SOURCE_DIR}/broker
                                   ${CMAKE_SOURCE_DIR})
        target_link_libraries(room_${name} PUBLIC ${links} PRIVATE millrace_flags)
        if(NOT ARG_PLAIN)
            millrace_precompiled(room_${name} millrace_pch)
        endif()
    else()
        add_library(room_${name} INTERFACE)
        target_include_directories(room_${name} INTERFACE ${CMAKE_SOURCE_DIR}/broker
                                   ${CMAKE_SOURCE_DIR})
        target_link_libraries(room_${name} INTERFACE ${links})
    endif()
    set_property(GLOBAL APPEND PROPERTY MILLRACE_ROOMS ${name})
    set_property(GLOBAL PROPERTY MILLRACE_ROOM_FOLDER_${name} ${folder})
    set_property(GLOBAL PROPERTY MILLRACE_ROOM_DEPENDS_${name} ${ARG_DEPENDS})
    if(MILLRACE_TESTS)
        file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${name}/*.cc)
        if(tests)
            if(MILLRACE_UNITED)
                if(ARG_TEST_UNIT_BYTES)
                    set(bytes_of_a_unit ${ARG_TEST_UNIT_BYTES})
                endif()
                millrace_units(test_${name} tests ${tests})
            endif()
            millrace_test(test_${name} SOURCES ${tests}
                          ROOMS ${name} ${ARG_TEST_DEPENDS} LIBS ${ARG_TEST_LIBS})
        endif()
    endif()
endfunction()

# millrace_test(<program> SOURCES ... ROOMS ... [LIBS ...]): a GoogleTest program, one ctest case
# per program (they are quick; one start each keeps the suite short).
function(millrace_test program)
    cmake_parse_arguments(ARG "PLAIN" "TIMEOUT" "SOURCES;ROOMS;LIBS" ${ARGN})
    add_executable(${program} ${ARG_SOURCES})
    set(links ${ARG_LIBS})
    foreach(room ${ARG_ROOMS})
        list(APPEND links room_${room})
    endforeach()
    target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR}/broker ${CMAKE_SOURCE_DIR})
    target_link_libraries(${program} PRIVATE ${links} GTest::gmock GTest::gtest_main millrace_flags
                          millrace_test_flags)
    if(NOT ARG_PLAIN)
        millrace_precompiled(${program} millrace_pch_tests)
    endif()
    target_compile_definitions(${program} PRIVATE MILLRACE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    add_test(NAME ${program} COMMAND ${program} --gtest_brief=1)
    set_tests_properties(${program} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

# millrace_rooms_first(<program> <library>...): the linker takes the first copy of an inline function that it meets, and a test's
# own is not optimised. For programs that work for seconds.
function(millrace_rooms_first program)
    list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_FILE:\\1>")
    list(JOIN ARGN " " files)
    target_link_options(${program} PRIVATE "SHELL:-Wl,--whole-archive ${files} -Wl,--no-whole-archive")
endfunction()

# link_check: every room linked whole, with nothing but the rooms and libraries that it declares. What
# a room calls without declaring it is an undefined symbol here, even where an include gave it away
# to nobody.
function(millrace_link_check)
    file(WRITE ${CMAKE_BINARY_DIR}/link_check.cc "int main() {}\n")
    add_custom_target(link_check)
    get_property(rooms GLOBAL PROPERTY MILLRACE_ROOMS)
    foreach(room ${rooms})
        get_target_property(kind room_${room} TYPE)
        if(kind STREQUAL "STATIC_LIBRARY")
            add_executable(link_${room} EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/link_check.cc)
            target_link_libraries(link_${room} PRIVATE
                                  "$<LINK_LIBRARY:WHOLE_ARCHIVE,room_${room}>")
            set_target_properties(link_${room} PROPERTIES
                                  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/link_check)
            add_dependencies(link_check link_${room})
        endif()
    endforeach()
endfunction()

# Writes the declared rooms for tests/arch, which compares them with the code.
function(millrace_check_rooms)
    get_property(rooms GLOBAL PROPERTY MILLRACE_ROOMS)
    set(text "")
    foreach(room ${rooms})
        get_property(folder GLOBAL PROPERTY MILLRACE_ROOM_FOLDER_${room})
        get_property(depends GLOBAL PROPERTY MILLRACE_ROOM_DEPENDS_${room})
        string(REPLACE ";" " " depends "${depends}")
        string(APPEND text "${room} ${folder} ${depends}\n")
    endforeach()
    file(WRITE ${CMAKE_BINARY_DIR}/rooms.txt "${text}")
endfunction()
