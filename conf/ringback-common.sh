# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# What block-ringback and vif-ringback have in common. libxl calls them once the back end is at InitWait, XENBUS_PATH naming the back end's
# directory, and waits for `hotplug-status`. By then the daemon has looked at the device and written `ringback-status`: "ready", or "error" with the
# reason in `ringback-error`, which is handed on for xl to print.
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

script=${0##*/}
conf=/etc/ringback/ringback.conf
wait_seconds=30  # for the daemon's word; libxl gives the whole script 40
grace_seconds=3  # for a daemon that is not running: it may be being restarted

value() {
    xenstore-read "$XENBUS_PATH/$1" 2>/dev/null
}

refuse() {
    xenstore-write "$XENBUS_PATH/hotplug-error" "$1" "$XENBUS_PATH/hotplug-status" error
    echo "$script: $XENBUS_PATH: $1" >&2
    exit 1
}

# misuse TEXT: this was not called as libxl does.
misuse() {
    echo "$script: $1" >&2
    exit 2
}

# By its control socket, wherever the configuration puts that.
daemon_is_down() { # DAEMON
    status=0
    run_dir=$(sed -n 's/^[[:space:]]*run-dir[[:space:]]*=[[:space:]]*//p' "$conf" 2>/dev/null | sed -n 's/[[:space:]].*//; $p')
    ringctl list --socket="${run_dir:-/run/ringback}/$1.sock" >/dev/null 2>&1 || status=$?
    [ "$status" -eq 3 ]
}

# await_daemon DAEMON WHAT: until it has said that the device can be served; WHAT is that, for people.
await_daemon() {
    begin=$(date +%s)
    while :; do
        case $(value ringback-status) in
        ready) return ;;
        error)
            reason=$(value ringback-error)
            refuse "${reason:-$1 gave no reason}"
            ;;
        esac
        value state >/dev/null || refuse "the device was removed while it was being added"
        waited=$(($(date +%s) - begin))
        if [ "$waited" -ge "$grace_seconds" ] && daemon_is_down "$1"; then
            refuse "$1 is not running (systemctl status $1)"
        fi
        [ "$waited" -lt "$wait_seconds" ] || refuse "$1 said nothing about this $2 within $wait_seconds s"
        sleep 0.1
    done
}

[ -n "${XENBUS_PATH:-}" ] || misuse "XENBUS_PATH is not set: this is called by xl"
