# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What a case must not leave behind.

domains() { xl list | awk 'NR > 1 && $2 != 0 { print $2 }'; }

backend_nodes() { xenstore-ls -f /local/domain/0/backend/vbd 2>/dev/null | grep '/state = '; }

dom0_disks() { xenstore-list /local/domain/0/device/vbd 2>/dev/null; }

# leftovers: one line a thing that is still there.
leftovers() {
    local line
    for line in $(domains); do echo "domain $line"; done
    backend_nodes | while read -r line; do echo "node $line"; done
    for line in $(dom0_disks); do echo "disk $line of domain 0"; done
    find /run/ringback -mindepth 1 -name '[0-9]*' 2>/dev/null | while read -r line; do echo "file $line"; done
    pgrep -x blkbackd-worker | tail -n +2 | while read -r line; do echo "worker $line"; done # one is the spare
    losetup -a | while read -r line; do echo "loop device $line"; done
}

# await_clean: prints nothing once all is gone, or what is left after a while.
await_clean() {
    local left='' end=$((SECONDS + 30))
    while [ "$SECONDS" -lt "$end" ]; do
        left=$(leftovers)
        [ -n "$left" ] || return 0
        sleep 0.5
    done
    echo "left behind: $(echo "$left" | head -n 5 | tr '\n' ';')"
}

# make_clean: by force, for the sake of the next case.
make_clean() {
    local what
    for what in $(domains); do xl destroy "$what"; done >/dev/null 2>&1
    for what in $(dom0_disks); do xl block-detach 0 "$what"; done >/dev/null 2>&1
    [ -z "$(await_clean)" ] && return
    systemctl stop blkbackd.service
    pkill -9 blkbackd
    xenstore-rm /local/domain/0/backend/vbd
    losetup -D
    rm -rf /run/ringback/*
    systemctl start blkbackd.service
} >/dev/null 2>&1
