# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What all tests on the simulator say and wait with.
set -euo pipefail

say() {
    printf '%s\n' "$*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

skip() {
    say "skipped: $*"
    exit 77
}

# need COMMAND...: skips the test where one is missing.
need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}

# wait_until SECONDS WHAT COMMAND...: until the command succeeds.
wait_until() {
    local limit=$1 what=$2 deadline=$((SECONDS + $1 + 1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "waited $limit s for $what"
        sleep 0.02
    done
}

# expect WHAT WANTED FOUND
expect() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

alive() {
    [ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

dead() {
    ! alive "$1"
}

# ---- What is held. -------------------------------------------------------------------------------------------------------------

resident_kb() {
    awk '/^VmRSS/ {print $2}' "/proc/$1/status"
}

descriptors() {
    find "/proc/$1/fd" -mindepth 1 | wc -l
}

mappings() {
    wc -l <"/proc/$1/maps"
}

# The processes that the daemon started, dead ones too.
children() {
    wc -w <"/proc/$1/task/$1/children"
}

# watches: of all clients of xenstored together, as itself tells.
watches() {
    rm -f "$WORK/memreport"
    # The simulator lacks what this program is linked with and does not call.
    env -u LD_LIBRARY_PATH /usr/lib/xen-4.17/bin/xenstore-control memreport "$WORK/memreport" >/dev/null
    grep -c 'struct watch ' "$WORK/memreport"
}

nodes() {
    xenstore-ls -f / | wc -l
}
