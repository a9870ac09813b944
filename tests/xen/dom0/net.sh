# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the cases of networks are written with, besides lib.sh: bridges, network cards, and traffic whose every byte is known.
# A place is "dom0" or a guest's name. NIC number N of a case has the address $network.N; dom0 has $network.1.

network=10.99.0 # the cases say it in full
netback=$(cat /bed/netback) # netbackd, or kernel

# --- Bridges ----------------------------------------------------------------------------------------------------------

# bridge_new NAME [MTU [ARGUMENT...]]: a Linux bridge with dom0's leg, as ip knows it; its ports forward at once unless an argument says otherwise.
bridge_new() {
    local name=$1 mtu=${2:-1500}
    shift $(($# < 2 ? $# : 2))
    ip link add "$name" type bridge stp_state 0 forward_delay 0
    [ $# -eq 0 ] || ip link set "$name" type bridge "$@"
    dom0_leg "$name" "$mtu"
}

dom0_leg() {
    ip link set "$1" mtu "$2"
    ip address add "$network.1/24" dev "$1"
    ip link set "$1" up
}

no_ports() { [ -z "$(ls "/sys/class/net/$1/brif")" ]; }

# bridge_remove NAME: once the last guest has left it.
bridge_remove() {
    await "the ports of $1 to go" 60 no_ports "$1"
    ip link delete "$1"
}

# ovs_new NAME; ovs_remove NAME: the same of Open vSwitch.
ovs_new() {
    systemctl start openvswitch-switch.service
    ovs-vsctl --timeout=60 add-br "$1"
    dom0_leg "$1" 1500
}

no_ovs_ports() { [ -z "$(ovs-vsctl --timeout=60 list-ports "$1")" ]; }

ovs_remove() {
    await "the ports of $1 to go" 60 no_ovs_ports "$1"
    ovs-vsctl --timeout=60 del-br "$1"
    systemctl stop openvswitch-switch.service ovs-vswitchd.service ovsdb-server.service
}

# switch_new NAME; switch_remove NAME: a bridge of tapbridged, with dom0's leg on the tap NAME0. The configuration as installed is in /run/bed/conf meanwhile.
switch_new() {
    cp /etc/ringback/ringback.conf /run/bed/conf
    printf '\n[bridge %s]\ntaps = %s0\n' "$1" "$1" >>/etc/ringback/ringback.conf
    systemctl reload tapbridged.service
    await "tap ${1}0" 60 test -e "/sys/class/net/${1}0"
    dom0_leg "${1}0" 1500
}

switch_remove() {
    await "the guests' ports of $1 to go" 60 no_memory_ports "$1"
    mv /run/bed/conf /etc/ringback/ringback.conf
    systemctl reload tapbridged.service
    ip link delete "${1}0"
}

no_memory_ports() { [ -z "$(switch_ports "$1" | jq 'select(.kind == "memory")')" ]; }

# switch_ports NAME: an object each; switch_port NAME PORT FIELD: of one.
switch_ports() { ringctl bridge ports "$1" --json | jq '.port_list[]'; }

switch_port() { switch_ports "$1" | jq -r "select(.name == \"$2\") | $3"; }

switch_pid() { systemctl show -P MainPID tapbridged.service; }

other_switch() { local pid; pid=$(switch_pid) && [ "$pid" != 0 ] && [ "$pid" != "$1" ]; } # than PID

kill_switch() {
    local pid
    pid=$(switch_pid)
    kill -KILL "$pid"
    await "another tapbridged than $pid" 60 other_switch "$pid"
}

# --- Cards ------------------------------------------------------------------------------------------------------------

# nic N [BRIDGE [WORD...]]: xl's words for one, for guest_start; guest_start tells them from disks by "mac=".
nic() {
    local words
    words="mac=$(nic_mac "$1"),bridge=${2:-xenbr0}"
    shift $(($# < 2 ? $# : 2))
    printf '%s' "$words" "${@/#/,}"
}

nic_mac() { printf '00:16:3e:00:00:%02x' "$1"; }

# nic_attach NAME NIC; nic_detach NAME DEVID: xl's.
nic_attach() {
    # shellcheck disable=SC2086 # several words
    xl network-attach "$1" ${2//,/ } || fail "xl network-attach $1 $2 failed"
}

nic_detach() { xl network-detach "$1" "$2" || fail "xl network-detach $1 $2 failed"; }

nic_node() { echo "/local/domain/0/backend/vif/$(guest_id "$1")/$2"; } # NAME DEVID

nic_netdev() { echo "vif$(guest_id "$1").$2"; } # NAME DEVID

nic_state() { xenstore-read "$(nic_node "$1" "$2")/state"; } # NAME DEVID

# nic_field NAME DEVID FIELD: what ringctl tells of it.
nic_field() { ringctl show --json "$1/vif$2" | jq -r "$3"; }

# nic_served NAME DEVID: it is connected, in xenstore and in the daemon's eyes.
nic_served() {
    [ "$(nic_state "$1" "$2")" = 4 ] || return 1
    [ "$netback" = kernel ] || [ "$(nic_field "$1" "$2" .activity)" = connected ]
}

# nic_up NAME DEV N [MTU]: gives the card of that name in the guest its address, and waits until dom0 answers.
nic_up() {
    local dev=$2
    # A device that is being made is in /sys before it can be used.
    guest "$1" "until ip link show $dev >/dev/null 2>&1; do sleep 0.1; done; ip link set $dev ${4:+mtu $4} up && ip address add $network.$3/24 dev $dev"
    guest "$1" "until ping -c 1 -W 1 -I $dev $network.1 >/dev/null; do sleep 0.1; done"
}

# nic_rebind NAME DEVID: the guest's driver lets go of the card, which lasts until the back end has closed it, however long that is, and takes it again.
nic_rebind() {
    guest "$1" "echo vif-$2 >/sys/bus/xen/drivers/vif/unbind && [ ! -e /sys/class/net/eth$2 ]"
    guest "$1" "echo vif-$2 >/sys/bus/xen/drivers/vif/bind"
}

# nic_queues NAME DEVID COUNT: both ends agree on so many.
nic_queues() {
    local back front
    back=$(nic_node "$1" "$2")
    front=$(xenstore-read "$back/frontend")
    [ "$(xenstore-read "$back/multi-queue-max-queues")" -ge "$3" ] || fail "$back does not offer $3 queues"
    [ "$(xenstore-read "$front/multi-queue-num-queues")" = "$3" ] || fail "$front has not asked for $3 queues"
    if [ "$3" -gt 1 ]; then
        xenstore-exists "$front/queue-$(($3 - 1))/tx-ring-ref" || fail "$front has no queue $(($3 - 1))"
    fi
}

# nic_offloads NAME on|off: of the guest's eth0, and of dom0's end.
nic_offloads() {
    guest "$1" "ethtool -K eth0 tx $2 sg $2 tso $2 gso $2 gro $2"
    ethtool -K "$(nic_netdev "$1" 0)" tx "$2" sg "$2" tso "$2" gso "$2" gro "$2"
}

# --- Traffic ----------------------------------------------------------------------------------------------------------

# on PLACE COMMAND; on_background PLACE TAG COMMAND; on_join PLACE TAG LIMIT: as for guests.
on() {
    if [ "$1" = dom0 ]; then
        step "dom0: $2" >&2
        echo "dom0 to finish: $2" >"$CASE/awaiting"
        timeout "${guest_limit:-180}" bash -c "$2" || fail "dom0: $2: exit status $?"
    else
        guest "$@"
    fi
}

on_background() {
    if [ "$1" = dom0 ]; then
        step "dom0: $3"
        { bash -c "$3" >"$CASE/$2.out" 2>&1 && echo 0 || echo $?; } >"$CASE/$2.status" &
    else
        guest_background "$@"
    fi
}

on_join() {
    local status
    if [ "$1" = dom0 ]; then
        await "dom0 to finish $2" "$3" test -s "$CASE/$2.status"
        status=$(cat "$CASE/$2.status")
        rm "$CASE/$2.status"
        cat "$CASE/$2.out"
        [ "$status" -eq 0 ] || fail "$2 in dom0 ended with status $status: $(tail -n 1 "$CASE/$2.out")"
    else
        guest_join "$@"
    fi
}

program() { # PLACE: our own
    if [ "$1" = dom0 ]; then echo /bed/payload; else echo payload; fi
}

# serve PLACE TAG tcp|udp PORT COMMAND: in the background, from when it listens.
serve() {
    local listens="until busybox netstat -ln${3:0:1} | grep -q \":$4 \"; do sleep 0.1; done"
    if [ "$1" = dom0 ]; then
        on_background "$1" "$2" "$5"
        on "$1" "$listens"
    else
        guest "$1" "$(in_background "$2" "$5") $listens"
    fi
}

# ping_ok PLACE ADDRESS [SIZE]: five, each answered.
ping_ok() {
    on "$1" "busybox ping -c 5 -i 0.1 -W 20 -s ${3:-56} $2 | tee /run/ping | grep -q \" 0% packet loss\" || { cat /run/ping; exit 1; }"
}

# iperf_run FROM TO ADDRESS tcp|udp: a line RATE with what the receiver saw. One that misses the end of UDP is stopped.
iperf_run() {
    local words rate
    words="-p 5001 -f m"
    [ "$4" = tcp ] || words+=" -u"
    serve "$2" iperf "$4" 5001 "timeout -s INT 200 iperf -s $words -P 1; true"
    [ "$4" = tcp ] || words+=" -b 100M -l 1400"
    on "$1" "iperf -c $3 $words -t 2"
    on_join "$2" iperf 60 >"$CASE/iperf"
    cat "$CASE/iperf"
    rate=$(sed -n 's|.* \([0-9.]*\) Mbits/sec.*|\1|p' "$CASE/iperf" | tail -n 1)
    [[ $rate == *[1-9]* ]] || fail "iperf moved nothing by $4 from $1 to $2"
    echo "RATE $4 $1 to $2: $rate Mbit/s"
}

# transfer FROM TO ADDRESS BYTES: a stream arrives as it was sent.
transfer() {
    serve "$2" stream tcp 7001 "$(program "$2") receive tcp 7001"
    on "$1" "$(program "$1") send tcp $3 7001 $4"
    on_join "$2" stream 120
}

# datagrams FROM TO ADDRESS COUNT MIN-MAX [USECS [OPTION]]: they arrive as they were sent, none twice; UDP may lose some, not most.
datagrams() {
    serve "$2" datagrams udp 7002 "$(program "$2") receive udp 7002"
    on "$1" "$(program "$1") ${7:-} send udp $3 7002 $4 $5 ${6:-1000}"
    on_join "$2" datagrams 120 >"$CASE/datagrams"
    cat "$CASE/datagrams"
    awk -v count="$4" '/^sent / { good = $2 == count && 2 * $4 > count && $8 == 0 && $12 == 0 } END { exit !good }' "$CASE/datagrams" ||
        fail "of $4 datagrams from $1 to $2: $(cat "$CASE/datagrams")"
}

# bad_checksums PLACE: how many TCP and UDP packets were thrown away for theirs.
bad_checksums() {
    on "$1" "cat /proc/net/snmp" | awk '$1 == "Tcp:" || $1 == "Udp:" {
        if ($1 in column) bad += $column[$1]; else for (i = 1; i <= NF; i++) if ($i == "InCsumErrors") column[$1] = i }
        END { print bad + 0 }'
}

# checksums_good PLACE...: none.
dom0_bad_checksums=$(bad_checksums dom0 2>/dev/null)
checksums_good() {
    local place bad
    for place; do
        bad=$(bad_checksums "$place")
        [ "$place" != dom0 ] || bad=$((bad - dom0_bad_checksums))
        [ "$bad" -eq 0 ] || fail "$bad packets had a wrong checksum in $place"
    done
}

# traffic_both_ways NAME N: verified, small and large, between the guest and dom0.
traffic_both_ways() {
    local guest=$network.$2
    transfer "$1" dom0 "$network.1" 3000001
    transfer dom0 "$1" "$guest" 3000001
    datagrams "$1" dom0 "$network.1" 300 24-8000
    datagrams dom0 "$1" "$guest" 300 24-8000
    checksums_good dom0 "$1"
}
