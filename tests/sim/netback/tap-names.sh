#!/bin/bash
# SPDX-License-Identifier: MIT
# A tap that is named by vifname goes with its card, though another card wanted the name; and a guest that was started anew while there was no netbackd gets
# its name, though the worker of its former life holds the tap still.
. "$(dirname "$0")/../../lib/netback.sh"
need python3

# card_nodes: card 0 of $domain with the name ours, as a toolstack describes it.
card_nodes() {
    local back=/local/domain/0/backend/vif/$domain/0 front=/local/domain/$domain/device/vif/0 mac=00:16:3e:00:00:77
    xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 "$front/handle" 0 "$front/mac" $mac
    xenstore-chmod -r "$front" "n$domain" r0
    xenstore-write "$back/frontend" "$front" "$back/frontend-id" "$domain" "$back/mac" $mac "$back/bridge" br0 \
        "$back/vifname" ours "$back/script" /etc/xen/scripts/vif-bridge "$back/handle" 0 "$back/hotplug-status" ""
    xenstore-chmod -r "$back" n0 "r$domain"
    xenstore-write "$back/online" 1 "$back/state" 1
}

# hold_tap: a process that has a queue of it, as a worker does, is $holder.
hold_tap() {
    rm -f "$WORK/held"
    python3 - "$WORK/held" <<'EOF' &
import fcntl, os, struct, sys, time
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"ours", 0x0002 | 0x1000 | 0x4000 | 0x0100))
open(sys.argv[1], "w")
time.sleep(600)
EOF
    holder=$!
    guest_pids+=("$holder") # ended at exit like them
    wait_until "$LIMIT_GUEST" "the tap to be held" [ -e "$WORK/held" ]
}

status_is() {
    [ "$(xenstore-read "/local/domain/0/backend/vif/$domain/0/ringback-status")" = "$1" ]
}
no_tap() { [ ! -e /sys/class/net/ours ]; }
no_note() { [ ! -e "$RUN/netback-taps/ours" ]; }

bridge_new br0
daemon_start
say "--- a name that two want"
guest_new --vifname ours
owner=$domain
domain=$(simxen create)
card_nodes
wait_until "$LIMIT_ATTACH" "the second card of that name to be refused" status_is error
card_detach "$owner" 0
wait_until "$LIMIT_ATTACH" "the tap to go with its card" no_tap
wait_until "$LIMIT_ATTACH" "its note to go too" no_note
simxen destroy "$domain"
wait_until "$LIMIT_ATTACH" "nothing to be left" nothing_of "$domain"

say "--- a guest that was started anew"
guest_new --vifname ours
daemon_end TERM
hold_tap
simxen destroy "$domain" --abrupt
daemon_start
former() { ! compgen -G "$RUN/netback/$domain-*"; }
wait_until "$LIMIT_DAEMON" "the former life to be forgotten" former
no_tap && fail "nobody holds the tap"
domain=$(simxen create)
card_nodes
wait_until "$LIMIT_ATTACH" "the new life's card to be ready" status_is ready
kill -KILL "$holder"
simxen destroy "$domain"
wait_until "$LIMIT_ATTACH" "the tap to go" no_tap

say "--- a guest that was not"
guest_new --vifname ours
daemon_end TERM
hold_tap
simxen destroy "$domain" --abrupt
daemon_start
wait_until "$LIMIT_DAEMON" "the former life to be forgotten" former
kill -KILL "$holder"
wait_until "$LIMIT_ATTACH" "the tap to go" no_tap
wait_until "$LIMIT_ATTACH" "its note to go with it" no_note
