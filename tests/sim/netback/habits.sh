#!/bin/bash
# SPDX-License-Identifier: MIT
# Every kind of guest, after every other, connects and closes on one card, again and again; cards come and go; guests die, as xl destroys them or at
# once, in the middle of their traffic: in the end nothing of all that is left, and nothing has grown. NETBACK_CYCLES says how often (the soak tier: more).
. "$(dirname "$0")/../../lib/netback.sh"
cycles=${NETBACK_CYCLES:-32} # connections, of which one in sixteen is of a card of its own, and one in sixteen ends with its guest

# cycle_habits COUNT: so many connections of each kind after each kind.
cycle_habits() {
    local before after
    for before in linux windows ipxe bsd; do
        for after in linux windows ipxe bsd; do
            for habit in "$before" "$after"; do
                net "$domain" cycle --as "$habit" --count "$1" 0
                expect "lives of $habit" "$1" "$(field lives)"
                wait_until "$LIMIT_ATTACH" "the card to be closed after $habit" state_is_down
            done
        done
    done
}

# iPXE leaves its card ready for the next front end.
state_is_down() {
    state_is "$domain" 0 6 || state_is "$domain" 0 2
}

cycle_card() {
    card_attach "$domain" 1
    net "$domain" ping --address 10.0.0.1 --count 3 --rate 500 1 10.0.0.254
    card_detach "$domain" 1
    wait_until "$LIMIT_ATTACH" "the card to be forgotten" nothing_of "$domain" 1
}

# cycle_death HOW: before, while or after it connects and is served.
cycle_death() {
    local how=$1 dying pid
    dying=$(simxen create)
    card_attach "$dying" 0
    simxen exec "$dying" simguest net ping --address 10.0.0.3 --lossy --count 100000 --rate 5000 0 10.0.0.254 >/dev/null 2>&1 &
    pid=$!
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    [ -n "$how" ] || kill -STOP "$pid" 2>/dev/null || true # xl pauses a domain first
    simxen destroy "$dying" ${how:+"$how"}
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    wait_until "$LIMIT_ATTACH" "guest $dying to be forgotten" nothing_of "$dying"
}

# part COUNT: so many connections, of all sorts.
part() {
    local i
    cycle_habits $((($1 + 31) / 32))
    for ((i = 0; i < ($1 + 31) / 32; i++)); do
        cycle_card
        cycle_card
        cycle_death ""
        cycle_death --abrupt
    done
}

as_before() {
    held >"$WORK/held.after"
    cmp "$WORK/held.before" "$WORK/held.after"
}

sizes() {
    local pid
    for pid in "$daemon_pid" "$(worker_pids)"; do
        say "$(resident_kb "$pid") $(mappings "$pid") $(descriptors "$pid")"
    done
}

# A sanitizer keeps what was freed, to see its use: not here, where memory is looked at.
export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
bridge_new br0 10.0.0.254/24
daemon_start --log-level=warning
guest_new
part 32 # what is made once is made
held >"$WORK/held.before"
sizes >"$WORK/sizes.before"
cat "$WORK/held.before"
for ((done = 0; done < cycles; done += 320)); do
    part $((cycles - done < 320 ? cycles - done : 320))
    say "$done cycles and the next: $(sizes | tr '\n' ';')"
done
wait_until "$LIMIT_DAEMON" "all to be held that was held before, and nothing else" as_before
sizes >"$WORK/sizes.after"
paste -d ' ' "$WORK/sizes.before" "$WORK/sizes.after" |
    awk '{ print; if ($4 > $1 + 2048 || $5 > $2 + 16 || $6 > $3 + 16) bad = 1 } END { exit bad }' || fail "something grows"
card_detach "$domain" 0
wait_until "$LIMIT_DAEMON" "everything to go with the last card" nothing_of "$domain"
expect "workers besides the spare" 1 "$(children "$daemon_pid")"
