# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What the scripts share: where things are, how to say what happens, which packages are needed, how to build.

RINGBACK_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly RINGBACK_ROOT

# Debian 12 packages, by what needs them.
readonly PACKAGES_BUILD="build-essential cmake ninja-build pkg-config ccache scdoc libxen-dev libevent-dev libsystemd-dev liburing-dev
    libjansson-dev libinih-dev libmnl-dev libpcap-dev libseccomp-dev libsodium-dev libnbd-dev uthash-dev uuid-dev libcmocka-dev"
readonly PACKAGES_SIM="xen-utils-4.17 xenstore-utils qemu-utils iproute2 procps libnbd0"
readonly PACKAGES_TEST="clang clang-format clang-tidy libclang-rt-14-dev cppcheck shellcheck gcovr git jq curl python3
    libvhdi-utils nbdkit qemu-system-xen net-tools e2fsprogs fio file dpkg-dev fakeroot spin"

bold() {
    if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" -eq 0 ] || die "must run as root: it installs packages and starts daemons"
}

# install_packages PACKAGE...: those that are missing, quietly; the output of a failure is shown.
install_packages() {
    local package log missing=()
    for package in "$@"; do
        grep -q 'ok installed' <<<"$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "installing ${#missing[@]} packages: ${missing[*]}"
    log=$(mktemp)
    # A failed start of Xen's services is expected where there is no Xen; policy-rc.d keeps them from being tried.
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1; then
        cat "$log" >&2
        die "cannot install: ${missing[*]}"
    fi
    rm -f "$log"
}

# build PRESET [TARGET...]: configures if need be and builds, quietly unless it fails.
build() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if ! { cd "$RINGBACK_ROOT" && cmake --preset "$preset" -DCMAKE_C_COMPILER_LAUNCHER=ccache &&
        cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
        cat "$log" >&2
        die "the $preset build failed"
    fi
    rm -f "$log"
}

# build_in FOLDER PRESET OPTION...: the same with other options, in a folder of its own.
build_in() {
    local folder=$1 preset=$2 log
    shift 2
    log=$(mktemp)
    if ! { cd "$RINGBACK_ROOT" && cmake --preset "$preset" -B "$folder" -DCMAKE_C_COMPILER_LAUNCHER=ccache "$@" &&
        cmake --build "$folder"; } >"$log" 2>&1; then
        cat "$log" >&2
        die "the build in $folder failed"
    fi
    rm -f "$log"
}
