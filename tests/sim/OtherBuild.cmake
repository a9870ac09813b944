# SPDX-License-Identifier: MIT
# Our daemons as other versions of the project would be, and with one line broken: for tests alone.

# ringback_other_sources(VARIABLE TARGET...): the sources of these targets, with their folders.
function(ringback_other_sources variable)
    set(sources)
    foreach(target ${ARGN})
        get_target_property(own ${target} SOURCES)
        get_target_property(folder ${target} SOURCE_DIR)
        foreach(source ${own})
            cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder} NORMALIZE)
            list(APPEND sources ${source})
        endforeach()
    endforeach()
    set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# ringback_other_build(NAME VERSION DAEMON TARGETS target... WORKER_TARGETS target... LINK library... DEFINITIONS definition...): a daemon and its worker
# of that version, in the folder NAME, from the sources of their programs and of these targets.
function(ringback_other_build name version daemon)
    cmake_parse_arguments(other "" "" "TARGETS;WORKER_TARGETS;LINK;DEFINITIONS" ${ARGN})
    # After the project's own definitions, which they replace.
    set(options "-URINGBACK_VERSION" "-DRINGBACK_VERSION=\"${version}\"")
    foreach(definition ${other_DEFINITIONS})
        list(APPEND options "-D${definition}")
    endforeach()

    if(NOT TARGET ring_${name})
        ringback_other_sources(ring_sources ring)
        add_library(ring_${name} STATIC ${ring_sources})
        target_include_directories(ring_${name} PUBLIC $<TARGET_PROPERTY:ring,INTERFACE_INCLUDE_DIRECTORIES>)
        target_compile_options(ring_${name} PRIVATE ${options})
    endif()
    ringback_other_sources(${daemon}_sources ${daemon} ${other_TARGETS})
    ringback_other_sources(${daemon}-worker_sources ${daemon}-worker ${other_WORKER_TARGETS})
    foreach(program ${daemon} ${daemon}-worker)
        add_executable(${program}_${name} ${${program}_sources})
        target_include_directories(${program}_${name} PRIVATE ${PROJECT_SOURCE_DIR}/daemons)
        target_compile_options(${program}_${name} PRIVATE ${options})
        target_compile_definitions(${program}_${name} PRIVATE BLKBACK_WORKER_PROGRAM="/nonexistent" NETBACK_WORKER_PROGRAM="/nonexistent")
        target_link_libraries(${program}_${name} PRIVATE ring_${name} ${other_LINK} PkgConfig::LIBEVENT Threads::Threads)
        set_target_properties(${program}_${name} PROPERTIES
            OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${name})
    endforeach()
endfunction()

# ringback_mutant(NAME PROGRAM TARGET FILE EXPRESSION): the program with FILE of that target as `sed EXPRESSION` leaves it, which must change it; in the
# folder NAME.
function(ringback_mutant name program target file expression)
    get_target_property(folder ${target} SOURCE_DIR)
    cmake_path(GET file FILENAME filename)
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/${name}/${filename})
    add_custom_command(OUTPUT ${copy} DEPENDS ${folder}/${file} VERBATIM
        COMMAND sh -c "sed -e \"$1\" <\"$2\" >\"$3\" && ! cmp -s \"$2\" \"$3\"" - "${expression}" ${folder}/${file} ${copy})
    # What the copy defines is not looked for in the library of the original.
    if(program STREQUAL target)
        add_executable(${program}_${name} ${copy} $<FILTER:$<TARGET_OBJECTS:${program}>,EXCLUDE,/${filename}.o$>)
    else()
        add_executable(${program}_${name} ${copy} $<TARGET_OBJECTS:${program}>)
    endif()
    get_target_property(libraries ${program} LINK_LIBRARIES)
    get_filename_component(beside ${folder}/${file} DIRECTORY)
    target_include_directories(${program}_${name} PRIVATE ${beside} ${PROJECT_SOURCE_DIR}/daemons $<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>)
    target_link_libraries(${program}_${name} PRIVATE ${libraries})
    set_target_properties(${program}_${name} PROPERTIES OUTPUT_NAME ${program} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${name})
endfunction()
