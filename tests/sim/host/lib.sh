# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the simulator's shell tests share; sourced.

# wait_for COMMAND...: until it succeeds, 10 seconds at most.
wait_for() {
    tries=1000
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "waited in vain: $*" >&2; exit 1; }
        sleep 0.01
    done
}

# refused COMMAND...: it must fail; "! command" is not seen by set -e.
refused() {
    if "$@" 2>/dev/null; then
        echo "was not refused: $*" >&2
        exit 1
    fi
}
