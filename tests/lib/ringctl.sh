# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# What tests of ringctl's ways with network cards share: a host of the simulator, and something that does in xenstore what netbackd would, as the
# test tells it. Sourced by scripts that `simhost run` starts, with RINGBACK_BUILD naming the build.
set -euo pipefail

: "${RINGBACK_BUILD:?names the build directory}" "${SIMXEN_DIR:?is set by simhost run}"
readonly RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl WORK=$SIMXEN_DIR/test BACK=/local/domain/0/backend/vif
readonly LIMIT_START=30 # seconds after which something hangs

daemon_pids=()

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# expect WHAT WANTED FOUND
expect() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# node PATH, has PATH: of xenstore; "(none)" when it is not there.
node() {
    xenstore-read "$1" 2>/dev/null || echo "(none)"
}

has() {
    xenstore-exists "$1" 2>/dev/null
}

# ---- The daemon. ---------------------------------------------------------------------------------------------------------

# verdict TEXT: from now on, new cards are found "ready", or the daemon is "silent" about them, or TEXT is what is wrong with them.
verdict() {
    echo "$1" >"$WORK/verdict.new"
    mv "$WORK/verdict.new" "$WORK/verdict"
}

# What a daemon does with each device there is.
serve_device() {
    case $(node "$1/state") in
    1)
        case $(cat "$WORK/verdict") in
        ready) xenstore-write "$1/ringback-status" ready "$1/state" 2 ;;
        silent) ;;
        *) xenstore-write "$1/ringback-error" "$(cat "$WORK/verdict")" "$1/ringback-status" error "$1/state" 2 ;;
        esac
        ;;
    5) [ -e "$WORK/kept" ] || xenstore-write "$1/state" 6 ;;
    esac
}

serve() {
    local kind domain device
    while :; do
        for kind in "$BACK" "${BACK%vif}vbd"; do
            for domain in $(xenstore-list "$kind" 2>/dev/null); do
                for device in $(xenstore-list "$kind/$domain" 2>/dev/null); do
                    serve_device "$kind/$domain/$device" 2>/dev/null || true # it may be gone meanwhile
                done
            done
        done
        sleep 0.05
    done
}

daemon_start() {
    local deadline=$((SECONDS + LIMIT_START))
    command -v python3 >/dev/null || skip "python3 is not installed"
    mkdir -p "$WORK"
    echo '[]' >"$WORK/devices"
    verdict ready
    python3 "$(dirname "${BASH_SOURCE[0]}")/devices.py" "$WORK/netbackd.sock" netbackd "$WORK/devices" &
    daemon_pids+=($!)
    serve &
    daemon_pids+=($!)
    until [ -S "$WORK/netbackd.sock" ]; do
        [ "$SECONDS" -lt "$deadline" ] || fail "waited $LIMIT_START s for the control socket"
        sleep 0.02
    done
}

end() {
    local status=$?
    {
        kill -KILL "${daemon_pids[@]}"
        wait "${daemon_pids[@]}"
    } 2>/dev/null || true
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || tail -n +1 "$WORK"/stdout "$WORK"/stderr "$WORK"/plug.log 2>/dev/null
    exit "$status"
}
trap end EXIT

# ---- ringctl. --------------------------------------------------------------------------------------------------------------

# run STATUS COMMAND ARGUMENT...
run() {
    local expected=$1 command=$2 status=0
    shift 2
    "$RINGCTL" "$command" --socket="$WORK/netbackd.sock" "$@" >"$WORK/stdout" 2>"$WORK/stderr" || status=$?
    [ "$status" -eq "$expected" ] || fail "'ringctl $command $*' ended with $status, not $expected"
}

# says STREAM TEXT, silent STREAM: of the last run.
says() {
    grep -qF -- "$2" "$WORK/$1" || fail "$1 does not say '$2'"
}

silent() {
    [ ! -s "$WORK/$1" ] || fail "$1 says something: $(cat "$WORK/$1")"
}

# ---- A hotplug script. -------------------------------------------------------------------------------------------------------

# plug_is BODY: $WORK/plug is a script that tells $WORK/plug.log how it was called and then does this.
plug_is() {
    cat >"$WORK/plug" <<END
#!/bin/sh
{
    echo "called: \$*"
    echo "type=\$XENBUS_TYPE path=\$XENBUS_PATH base=\$XENBUS_BASE_PATH script=\$script netdev=\$netdev vif=\$vif"
    echo "card: \$(xenstore-read "\$XENBUS_PATH/ringback-status" "\$XENBUS_PATH/state" | xargs), \$(xenstore-read "\$XENBUS_PATH/hotplug-status" || echo nothing is awaited)"
} >>$WORK/plug.log
$1
END
    chmod 755 "$WORK/plug"
    rm -f "$WORK/plug.log"
}

# What a good one does.
# shellcheck disable=SC2016
readonly PLUG_GOOD='[ "$1" != online ] || xenstore-write "$XENBUS_PATH/hotplug-status" connected'
