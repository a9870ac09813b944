#!/bin/bash
# SPDX-License-Identifier: MIT
# The guest and the kernel's own IP stack understand each other, over a tap: echoes both ways, datagrams, and streams opened from either side, of both
# families, also when frames are lost.
if [ "${1-}" != inside ]; then
    unshare -n true 2>/dev/null || { echo "skipped: no network namespaces"; exit 77; }
    [ -c /dev/net/tun ] || { echo "skipped: no /dev/net/tun"; exit 77; }
    exec unshare -n "$0" inside
fi
. "$(dirname "$0")/../../lib/netfront.sh"

# The peer: serves UDP and TCP on port 7 of both families, echoing.
cat >"$SIMXEN_DIR/peer.py" <<'END'
import socket, threading
def stream(one):
    while data := one.recv(65536):
        one.sendall(data)
    one.close()
def streams(family):
    with socket.create_server(("", 7), family=family) as server:
        while True:
            threading.Thread(target=stream, args=(server.accept()[0],)).start()
def datagrams(family):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("", 7))
        while True:
            data, peer = s.recvfrom(65536)
            s.sendto(data, peer)
for family in socket.AF_INET, socket.AF_INET6:
    for serve in streams, datagrams:
        threading.Thread(target=serve, args=(family,)).start()
END
# client.py ADDRESS: opens a stream to the guest's port 7, has a megabyte echoed and compares it.
cat >"$SIMXEN_DIR/client.py" <<'END'
import os, socket, sys, threading
data = os.urandom(1 << 20)
with socket.create_connection((sys.argv[1], 7), timeout=60) as s:
    def send():
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    got = b""
    while more := s.recv(65536):
        got += more
assert got == data, "what came back is not what was sent"
print(len(got), "bytes echoed by the guest")
END

link_up() {
    ip link set dev vifsim up && ip -6 addr add fd00::1/64 dev vifsim nodad && ip addr add 10.0.0.1/24 dev vifsim
}

for lose in 0 101; do
    ip link set dev lo up
    reflector_start --tap vifsim --lose $lose
    until ip link show dev vifsim >/dev/null 2>&1; do
        kill -0 "$reflector_pid" || fail "no tap"
        sleep 0.02
    done
    link_up
    python3 "$SIMXEN_DIR/peer.py" &
    peer=$!
    guest_pids+=("$peer")
    until [ "$(ss -ulnH sport = 7 | wc -l)" = 2 ] && [ "$(ss -tlnH sport = 7 | wc -l)" = 2 ]; do sleep 0.02; done
    [ "$lose" != 0 ] || guest_new
    lossy=
    [ "$lose" = 0 ] || lossy=--lossy
    features=csum4,csum6,gso4,gso6
    for address in 10.0.0.1 fd00::1; do
        # shellcheck disable=SC2086
        net "$domain" ping --without $features --address 10.0.0.2 --address fd00::2 --count 50 $lossy 0 $address
        # shellcheck disable=SC2086
        net "$domain" udp --without $features --address 10.0.0.2 --address fd00::2 --count 500 $lossy 0 $address
        net "$domain" tcp --without $features --address 10.0.0.2 --address fd00::2 --bytes 1M 0 $address
        [ "$lose" = 0 ] || [ "$(field resent)" -gt 0 ] || fail "nothing was sent again"
    done
    net_start "$domain" up --without $features --address 10.0.0.2 --address fd00::2 0
    python3 "$SIMXEN_DIR/client.py" 10.0.0.2
    python3 "$SIMXEN_DIR/client.py" fd00::2
    if [ "$lose" = 0 ] && command -v ping >/dev/null; then
        ping -q -c 5 -i 0.01 10.0.0.2
        ping -q -c 5 -i 0.01 fd00::2
    fi
    net_stop "$started"
    kill "$peer"
    wait "$peer" || true
    reflector_stop
done
