# SPDX-License-Identifier: MIT
# How everything here is compiled: the language, the warnings, the sanitizers, the coverage.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

set(RINGBACK_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")
option(RINGBACK_COVERAGE "Instrument for gcovr" OFF)

include(CheckPIESupported)
check_pie_supported(LANGUAGES C) # with this, and only with it, position-independent programs are linked as such

add_compile_options(
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla -Werror
    -fstack-protector-strong -fno-common)
add_compile_definitions(_GNU_SOURCE RINGBACK_VERSION="${PROJECT_VERSION}")
add_link_options(-Wl,-z,relro -Wl,-z,now)

# glibc's checks of buffers need an optimiser, and get in the way of the sanitizers' own.
if(NOT RINGBACK_SANITIZE AND NOT RINGBACK_FUZZ)
    add_compile_options("$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
endif()
if(RINGBACK_SANITIZE)
    add_compile_options(-fsanitize=${RINGBACK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${RINGBACK_SANITIZE})
endif()
if(RINGBACK_COVERAGE)
    add_compile_options(--coverage -fprofile-update=atomic)
    add_link_options(--coverage)
endif()
if(RINGBACK_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
