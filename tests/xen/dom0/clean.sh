# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What a case must not leave behind.

domains() { xl list | awk 'NR > 1 && $2 != 0 { print $2 }'; }

backend_nodes() { xenstore-ls -f /local/domain/0/backend 2>/dev/null | grep '^/local/domain/0/backend/\(vbd\|vif\)/.*/state = '; }

dom0_disks() { xenstore-list /local/domain/0/device/vbd 2>/dev/null; }

# netdevs: guests' ends in dom0, and bridges.
netdevs() {
    local device
    for device in /sys/class/net/{vif,tap,xenbr,ovsbr}*; do
        [ ! -e "$device" ] || basename "$device"
    done
}

traffic() { pgrep -x 'payload|iperf|tcpdump'; }

# leftovers: one line a thing that is still there.
leftovers() {
    local line
    for line in $(domains); do echo "domain $line"; done
    backend_nodes | while read -r line; do echo "node $line"; done
    for line in $(dom0_disks); do echo "disk $line of domain 0"; done
    find /run/ringback -mindepth 1 -name '[0-9]*' 2>/dev/null | while read -r line; do echo "file $line"; done
    for line in blkbackd-worker netbackd-worker; do
        pgrep -x "$line" | tail -n +2 | while read -r line; do echo "worker $line"; done # one is the spare
    done
    for line in $(netdevs); do echo "network device $line"; done
    for line in $(traffic); do echo "process $line $(cat "/proc/$line/comm")"; done
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
    for what in $(traffic); do kill -9 "$what"; done
    if systemctl is-active ovs-vswitchd.service; then
        ovs-vsctl --timeout=60 --if-exists del-br ovsbr0
        systemctl stop openvswitch-switch.service ovs-vswitchd.service ovsdb-server.service
    fi
    for what in $(netdevs); do
        [[ $what != xenbr* ]] || ip link delete "$what"
    done
    if [ -e /run/bed/conf ]; then # a bridge of tapbridged
        mv /run/bed/conf /etc/ringback/ringback.conf
        systemctl reload tapbridged.service
        ip link delete lan0
    fi
    [ -z "$(await_clean)" ] && return
    for what in blkbackd netbackd; do
        systemctl stop "$what.service"
        pkill -9 "$what"
    done
    xenstore-rm /local/domain/0/backend/vbd
    xenstore-rm /local/domain/0/backend/vif
    for what in $(netdevs); do ip link delete "$what"; done
    losetup -D
    rm -rf /run/ringback/*
    systemctl start blkbackd.service
    [ "$(cat /bed/netback)" = kernel ] || systemctl start netbackd.service
} >/dev/null 2>&1
