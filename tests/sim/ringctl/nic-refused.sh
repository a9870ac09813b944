#!/bin/bash
# SPDX-License-Identifier: MIT
# A network card that cannot be attached leaves nothing behind, and ringctl tells why.
. "$(dirname "$0")/../../lib/ringctl.sh"
daemon_start
domain=$(simxen create)
back=$BACK/$domain front=/local/domain/$domain/device/vif

# nothing_left: of the card.
nothing_left() {
    silent stdout
    ! has "$back/0" || fail "the back end's directory is left"
    ! has "$front/0" || fail "the front end's directory is left"
    ! has "/libxl/$domain/device/vif/0" || fail "xl's note is left"
}

# Before anything is written.
run 1 attach nic "$domain" "script=$WORK/none-such"
says stderr "the script $WORK/none-such cannot be run: No such file or directory"
nothing_left
run 4 attach nic 999 script=none
says stderr "there is no domain 999"
run 4 attach nic nobody script=none
says stderr "there is no domain called 'nobody'"

# By the daemon.
plug_is "$PLUG_GOOD"
verdict "tapbridged has no bridge lan"
run 1 attach nic "$domain" "script=$WORK/plug"
says stderr "refused: tapbridged has no bridge lan"
nothing_left
verdict silent
run 5 attach --timeout=1 nic "$domain" "script=$WORK/plug"
says stderr "the daemon did not take card vif0 within 1 s; removed it again"
nothing_left
[ ! -e "$WORK/plug.log" ] || fail "the script was run"
verdict ready

# By its script, which then takes back what it did, unheard.
# shellcheck disable=SC2016
plug_is 'echo "$1 heard" >&2; [ "$1" != online ] || xenstore-write "$XENBUS_PATH/hotplug-error" "no bridge br9" "$XENBUS_PATH/hotplug-status" error; exit 3'
run 1 attach nic "$domain" "script=$WORK/plug"
says stderr "$WORK/plug online exited with status 3: no bridge br9; removed the card again"
says stderr "online heard"
! grep -q "offline heard" "$WORK/stderr" || fail "the script is heard twice"
expect "the script's calls" "called: online type_if=vif
called: offline type_if=vif" "$(grep called "$WORK/plug.log")"
nothing_left
plug_is 'kill -SEGV $$'
run 1 attach nic "$domain" "script=$WORK/plug"
says stderr "$WORK/plug online was killed by signal 11; removed the card again"
nothing_left
plug_is true
run 1 attach nic "$domain" "script=$WORK/plug"
says stderr "$WORK/plug online did not say hotplug-status = connected; removed the card again"
nothing_left
echo "#!/nonexistent" >"$WORK/plug"
run 1 attach nic "$domain" "script=$WORK/plug"
says stderr "$WORK/plug online cannot be run: No such file or directory; removed the card again"
nothing_left

# By a card that is there; which stays as it is.
plug_is "$PLUG_GOOD"
run 0 attach nic "$domain" "script=$WORK/plug,devid=0,bridge=br0"
run 1 attach nic "$domain" "script=$WORK/plug,devid=0,bridge=br1"
says stderr "domain $domain has a card vif0 already"
expect "the bridge" br0 "$(node "$back/0/bridge")"
