#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest and the host's own kernel talk over a tap and a bridge, with TCP and UDP of both families, whatever is left to the other end (checksums,
# segmentation), and frames of 9000 bytes: what comes back is verified by the guest, and every checksum by whoever gets it.
. "$(dirname "$0")/../../lib/netback.sh"
need python3
cat >"$WORK/echo.py" <<'P'
# Echoes on port 7, TCP and UDP, of both families, until it is killed.
import contextlib, socket, threading

def tcp(connection):
    with contextlib.suppress(ConnectionError), connection:
        while got := connection.recv(1 << 18):
            connection.sendall(got)

def listen():
    server = socket.create_server(("::", 7), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        threading.Thread(target=tcp, args=server.accept()[:1], daemon=True).start()

threading.Thread(target=listen, daemon=True).start()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 7))
while True:
    udp.sendto(*udp.recvfrom(65536))
P
bridge_new br0 10.0.0.254/24
ip address add fd00::fe/64 dev br0 nodad
python3 "$WORK/echo.py" >"$WORK/echo" &
guest_pids+=("$!")
wait_until "$LIMIT_DAEMON" "the host's echo" grep -q ready "$WORK/echo"

# csum_errors: what the host's kernel found wrong.
csum_errors() {
    awk '/^(Tcp|Udp|Ip):/ && names == "" { names = $0; next }
         names != "" { n = split(names, name); split($0, value)
             for (i = 2; i <= n; i++) if (name[i] ~ /InCsumErrors|InErrs|InHdrErrors/) sum += value[i]
             names = "" }
         END { print sum + 0 }' /proc/net/snmp
    awk '/CsumErrors|HdrErrors/ { sum += $2 } END { print sum + 0 }' /proc/net/snmp6
}

# crossed: whether whole segments crossed, from the guest and to it.
crossed() {
    card_is "$domain/0" '[.queues[] | .tx.gso > 0 and .rx.gso > 0] | any' true
}

daemon_start
guest_new
errors=$(csum_errors)
# talk OPTION...: in every way, with these.
talk() {
    local what peer
    say "--- $* (mtu $(cat /sys/class/net/br0/mtu))"
    for peer in 10.0.0.254 fd00::fe; do
        for what in "ping --count 20 --rate 500" "udp --count 200 --window 8" "tcp --bytes 2M"; do
            # shellcheck disable=SC2086 # several words
            net "$domain" ${what%% *} --address 10.0.0.1 --address fd00::1 "$@" ${what#* } 0 "$peer"
            expect "checksums that were wrong" 0 "$(field bad_checksum)"
        done
    done
    expect "what the host found wrong" "$errors" "$(csum_errors)"
}
talk
for peer in 10.0.0.254 fd00::fe; do
    net_start "$domain" tcp --address 10.0.0.1 --address fd00::1 --bytes 4G 0 "$peer"
    wait_until "$LIMIT_GUEST" "whole segments to cross both ways" crossed
    kill -TERM "$started"
    wait "$started" || true
    expect "bytes that were wrong" 0 "$(tail -n 1 "$WORK/guest.$started" | jq .wrong)"
    wait_until "$LIMIT_ATTACH" "the card to be closed" state_is "$domain" 0 6
done
talk --without gso4,gso6
talk --without csum4,csum6
talk --without sg
talk --queues 4
for netdev in "vif$domain.0" br0; do
    ip link set "$netdev" mtu 9000
done
xenstore-write "/local/domain/$domain/device/vif/0/mtu" 9000 # as the hotplug script does
talk --size 8000-8900
