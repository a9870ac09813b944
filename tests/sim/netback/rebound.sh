#!/bin/bash
# SPDX-License-Identifier: MIT
# A card is let go of and taken again, and again, as by an unbinding in the guest, which waits for the back end to close it however long that takes.
# Meanwhile its worker, which serves another card too, is killed: amid anything, while it has yet to close the card, alone and together with netbackd. A card of
# another guest, whose own worker nobody kills, does the same. Each time it ends, and the card beside it is served on. NETBACK_REBINDS says how often.
. "$(dirname "$0")/../../lib/netback.sh"
kills=${NETBACK_REBINDS:-24}
bridge_new br0
daemon_start
guest_new
near=$domain
card_attach "$near" 1
guest_new
far=$domain
net_start "$near" up --address 10.0.0.1 --lossy 1
up=$started
wait_until "$LIMIT_ATTACH" "the card that stays to be connected" card_is "$near/1" .activity connected
# Whether a life did not end its exit status tells.
net_start "$near" cycle --count 1000000 0
own=$started
net_start "$far" cycle --count 1000000 0
other=$started

is_closing() { card_is "$near/0" .activity disconnecting; }

# stop_amid_closing: a worker that does nothing any more, and is to close the card, if it comes to that.
stop_amid_closing() {
    local tries
    kill -STOP "$old"
    for ((tries = 0; tries < 40; tries++)); do
        ! is_closing || return 0
        sleep 0.01
    done
    return 1
}

closing=0
for ((i = 0; i < kills || closing < kills / 6; i++)); do
    old=$(card_field "$near/1" .worker.pid)
    if [ $((i % 4)) -eq 0 ]; then
        sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    elif stop_amid_closing; then
        closing=$((closing + 1))
    fi
    kill -KILL "$old"
    if [ $((i % 5)) -eq 0 ]; then
        kill -KILL "$daemon_pid"
        wait "$daemon_pid" 2>/dev/null || true
        daemon_start
    fi
    wait_until "$LIMIT_RECOVERY" "a successor for the worker" worker_replaced "$near/1" "$old"
    { alive "$own" && alive "$other"; } || fail "a guest ended: $(cat "$WORK/guest.$own" "$WORK/guest.$other")"
done
net_stop "$own"
own_lives=$(field lives)
net_stop "$other"
say "$i kills, $closing of them while a card was to be closed; $own_lives and $(field lives) lives of the cards"
net "$far" ping --address 10.0.0.2 --count 20 --rate 500 0 10.0.0.1
net_stop "$up"
