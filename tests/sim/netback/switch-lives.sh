#!/bin/bash
# SPDX-License-Identifier: MIT
# Ports that end before their time. A card goes while tapbridged stands still, and another of its name comes: it gets a port of its own. tapbridged closes the
# port of a guest that ruined its memory while xenstored is away, and its worker ends: the guest's other cards are served on, and this one is closed when
# xenstored is back, and served again.
. "$(dirname "$0")/../../lib/netback.sh"
need python3

# card_nodes MAC: card 0 of $domain on lan, as a toolstack describes it.
card_nodes() {
    local back=/local/domain/0/backend/vif/$domain/0 front=/local/domain/$domain/device/vif/0
    xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 "$front/handle" 0 "$front/mac" "$1"
    xenstore-chmod -r "$front" "n$domain" r0
    xenstore-write "$back/frontend" "$front" "$back/frontend-id" "$domain" "$back/mac" "$1" "$back/bridge" lan \
        "$back/script" /etc/xen/scripts/vif-ringback "$back/handle" 0 "$back/hotplug-status" connected
    xenstore-chmod -r "$back" n0 "r$domain"
    xenstore-write "$back/online" 1 "$back/state" 1
}

forget() {
    xenstore-write "/local/domain/0/backend/vif/$domain/0/online" 0 "/local/domain/0/backend/vif/$domain/0/state" 5
    wait_until "$LIMIT_ATTACH" "the card to be closed" state_is "$domain" 0 6
    xenstore-rm "/local/domain/0/backend/vif/$domain/0" 2>/dev/null || true # it may have gone by itself
    xenstore-rm "/local/domain/$domain/device/vif/0"
    wait_until "$LIMIT_ATTACH" "nothing to be left of the card" nothing_of "$domain" 0
}

ports() {
    curl -sf --unix-socket "$RUN/tapbridged.sock" http://localhost/v1/bridges/lan | jq -rc '[.port_list[].name] | sort | join(" ")'
}
ports_are() { [ "$(ports)" = "$1" ]; }

bridge_new br0 10.1.0.254/24
printf '[bridge lan]\n' >"$WORK/switch.conf"
switch_start
python3 "$LIB/proxy.py" "$WORK/store" "$SIMXEN_DIR/socket" &
proxy=$!
guest_pids+=("$proxy") # ended at exit like them
wait_until "$LIMIT_DAEMON" "the proxy" env XENSTORED_PATH="$WORK/store" xenstore-exists /
XENSTORED_PATH=$WORK/store daemon_start
near=$(simxen create)
card_switched "$near" 0 lan
net_start "$near" up --address 10.0.0.1 --lossy 0
near_up=$started
wait_until "$LIMIT_ATTACH" "the first card to be connected" card_is "$near/0" .activity connected

say "--- a card goes before its port has come"
domain=$(simxen create)
kill -STOP "$switch_pid"
for mac in 00:16:3e:00:00:70 00:16:3e:00:00:71 00:16:3e:00:00:72; do
    card_nodes "$mac"
    wait_until "$LIMIT_ATTACH" "the card to wait for the switch" card_is "$domain/0" .activity waiting-for-switch
    [ "$mac" = 00:16:3e:00:00:72 ] || forget
done
kill -CONT "$switch_pid"
wait_until "$LIMIT_ATTACH" "the last card to be ready" state_is "$domain" 0 2
net "$domain" ping --address 10.0.0.2 --count 20 --rate 500 0 10.0.0.1

say "--- a port that is ruined"
card_attach "$domain" 1
net_start "$domain" up --address 10.1.0.3 --lossy 1
wait_until "$LIMIT_ATTACH" "the other card to be connected" card_is "$domain/1" .activity connected
net_start "$domain" up --address 10.0.0.2 --lossy 0
up=$started
net_stop "$near_up"
net_start "$near" udp --address 10.0.0.1 --one-way --lossy --time 600 0 10.0.0.2
received() { [ "$(card_field "$domain/0" .rx.packets)" -gt 1000 ]; }
wait_until "$LIMIT_ATTACH" "the card to be sent frames" received
worker=$(card_field "$domain/0" .worker.pid)
kill -USR1 "$proxy"
wait_until "$LIMIT_DAEMON" "the daemon to miss xenstored" card_is "$domain/0" .state Unknown
ruin() { # once more, for they may have written their indices meanwhile
    python3 - "$worker" <<'EOF'
import glob, os, sys
for path in glob.glob(f"/proc/{sys.argv[1]}/fd/*"):
    if os.readlink(path).startswith("/memfd:ringback-port"):
        with open(path, "r+b", buffering=0) as memory:
            memory.write(b"\xff" * os.stat(path).st_size)
EOF
    ports_are "vif$near.0"
}
wait_until "$LIMIT_ATTACH" "the port to be gone" ruin
kill -KILL "$worker"
wait_until "$LIMIT_RECOVERY" "the other card to be recovered" worker_replaced "$domain/1" "$worker"
expect "restarts of the worker" 1 "$(card_field "$domain/1" .worker.guest_restarts)"
kill -USR2 "$proxy"
wait_until "$LIMIT_ATTACH" "the card to be closed" state_is "$domain" 0 6
expect "restarts of the worker" 1 "$(card_field "$domain/1" .worker.guest_restarts)"
kill -TERM "$up" 2>/dev/null || true # it may have ended: its card is closed
wait "$up" || true
net_start "$domain" up --address 10.0.0.2 --lossy 0
wait_until "$LIMIT_ATTACH" "the port to be there again" ports_are "vif$near.0 vif$domain.0"
wait_until "$LIMIT_ATTACH" "the card to be sent frames again" received
