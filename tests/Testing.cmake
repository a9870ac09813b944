# SPDX-License-Identifier: MIT
# One call declares one test program; exit status 77 means "skipped".

# ringback_unit_test(NAME SOURCES... LIBS libs...): a cmocka program.
function(ringback_unit_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS;LABELS")
    add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/lib)
    target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS "unit;${arg_LABELS}")
endfunction()

# ringback_fuzz_target(NAME SOURCES... LIBS libs...): a libFuzzer program with its seeds in tests/fuzz/corpus/NAME.
# Built without libFuzzer it becomes a test that runs every file of the corpus once.
function(ringback_fuzz_target name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
    add_executable(fuzz_${name} ${arg_UNPARSED_ARGUMENTS})
    target_link_libraries(fuzz_${name} PRIVATE ${arg_LIBS})
    set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    if(RINGBACK_FUZZ)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        set(found ${CMAKE_CURRENT_BINARY_DIR}/found/${name}) # what it finds stays out of the sources
        file(MAKE_DIRECTORY ${found})
        add_test(NAME fuzz_${name} COMMAND fuzz_${name} -runs=20000 -seed=1 -timeout=20 ${found} ${corpus})
    else()
        target_sources(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${corpus})
    endif()
    set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 300 LABELS "fuzz")
endfunction()
