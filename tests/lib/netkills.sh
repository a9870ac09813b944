# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# What the tests share that kill netbackd, its workers and tapbridged at random. Sourced after netback.sh.
need python3

kills=${NETBACK_KILLS:-60} # the soak tier: more
seed=${NETBACK_SEED:-$RANDOM}
guests=()
cards=()
streams=()   # processes of TCP, which has no end
datagrams=() # of numbered datagrams
ups=()       # of those that send back what came

# first_guest ATTACH...: what is made once is made.
first_guest() {
    guests=("$(simxen create)")
    "$@" "${guests[0]}" 0
    net_start "${guests[0]}" up --address 10.0.0.1 0
    wait_until "$LIMIT_ATTACH" "the first card to be connected" card_is "${guests[0]}/0" .activity connected
}

# first_guest_goes: and what is held then is noted.
first_guest_goes() {
    net_stop "$started" >/dev/null
    guests_go
    note_held nothing
}

# guests_go: all there are; then nothing of them is left.
guests_go() {
    local guest
    for guest in "${guests[@]}"; do
        card_detach "$guest" 0
        simxen destroy "$guest"
        wait_until "$LIMIT_ATTACH" "guest $guest to be forgotten" nothing_of "$guest"
    done
    guests=()
}

# guest_pair ACTION ATTACH...: two guests, attached by that command; the first does ACTION with the second.
guest_pair() {
    local action=$1 near far own peer
    shift
    near=$(simxen create)
    far=$(simxen create)
    "$@" "$near" 0
    "$@" "$far" 0
    own=10.0.$near.1 peer=10.0.$near.2
    guests+=("$near" "$far")
    cards+=("$near/0" "$far/0")
    net_start "$far" up --address "$peer" --queues 2 --lossy 0
    ups+=("$started")
    if [ "$action" = tcp ]; then
        net_start "$near" tcp --address "$own" --queues 2 --limit 300 --bytes 1000G 0 "$peer"
        streams+=("$started")
    else
        net_start "$near" udp --address "$own" --queues 2 --limit 300 --lossy --window 2000 --rate 5000 --count 1000000000 0 "$peer"
        datagrams+=("$started")
    fi
}

all_connected() {
    local card
    for card in "${cards[@]}"; do
        card_is "$card" .activity connected || return 1
    done
}

# held_by_all: as held, of whichever netbackd there is now; and what tapbridged holds. Workers are counted, whoever started them: those that were
# adopted are no children of who adopted them.
held_by_all() {
    local process
    daemon_pid=$(cat "$WORK/netbackd.pid") held | sed '/^processes of the daemon/d'
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/exe")" = "$worker_program" ] && tr '\0' '\n' <"$process/environ" | grep -cx "SIMXEN_DIR=$SIMXEN_DIR" >/dev/null; then
            say "a worker"
        fi
    done 2>/dev/null
    [ ! -e "$WORK/tapbridged.pid" ] || say "descriptors of tapbridged: $(descriptors "$(cat "$WORK/tapbridged.pid")")"
}

as_many_workers() {
    [ "$(held_by_all | grep -c '^a worker$')" -eq $((${#guests[@]} + 1)) ]
}

# note_held NAME: once all that starts has started.
note_held() {
    wait_until "$LIMIT_DAEMON" "a worker for each guest, and a spare one" as_many_workers
    held_by_all >"$WORK/held.$1"
}

as_held() {
    held_by_all >"$WORK/held.now" && cmp "$WORK/held.$1" "$WORK/held.now"
}

# until_held NAME WHAT: until nothing else is held than was noted by that name.
until_held() {
    (wait_until "$LIMIT_DAEMON" "$2" as_held "$1") || { diff "$WORK/held.$1" "$WORK/held.now" >&2 || true; exit 1; }
}

# kill_all KIND=COUNT...: under the streams.
kill_all() {
    local process
    wait_until "$LIMIT_ATTACH" "all cards to be connected" all_connected
    note_held connected
    say "seed $seed: $*"
    "$LIB/kills.py" netback "$RUN" "$seed" "$@"
    for process in "${streams[@]}" "${datagrams[@]}"; do
        alive "$process" || fail "it ended before its time: $(cat "$WORK/guest.$process")"
    done
    wait_until "$LIMIT_RECOVERY" "all cards to be served after the last kill" all_connected
    until_held connected "nothing to be held for the dead"
}

# streams_end: what came was right, and comes once more.
streams_end() {
    local process said
    for process in "${streams[@]}"; do # it has sent as much as it could: what came is verified as it comes
        kill -TERM "$process"
        wait "$process" || true
        said=$(tail -n 1 "$WORK/guest.$process")
        jq -c '{acknowledged, verified, wrong, resent, timeouts, complaint}' <<<"$said"
        expect "bytes of the stream that were wrong, and complaints" '0 ""' "$(jq -r '"\(.wrong) \(.complaint | tojson)"' <<<"$said")"
        [ "$(jq .verified <<<"$said")" -gt 0 ] || fail "nothing of the stream came back"
    done
    for process in "${datagrams[@]}"; do
        net_stop "$process" >/dev/null
        jq -c '{sent, received, lost, duplicated, reordered, corrupt, complaint}' <<<"$result"
        expect "datagrams that were wrong, and complaints" '0 ""' "$(jq -r '"\(.corrupt) \(.complaint | tojson)"' <<<"$result")"
    done
    net "${guests[0]}" tcp --address "10.0.${guests[0]}.1" --bytes 1M 0 "10.0.${guests[0]}.2"
    for process in "${ups[@]}"; do
        net_stop "$process" >/dev/null
        expect "frames that were wrong, and complaints" '0 ""' "$(jq -r '"\(.corrupt) \(.complaint | tojson)"' <<<"$result")"
    done
}
