#!/bin/bash
# SPDX-License-Identifier: MIT
# Disks are attached, used and detached, and guests die, as xl destroys them or at once, in the middle of their requests: in the end nothing
# of all that is left, and nothing has grown. RINGBACK_CYCLES says how often (the soak tier: more).
. "$(dirname "$0")/../../lib/blkback.sh"
cycles=${RINGBACK_CYCLES:-50}
readonly STREAMS=4 # at the same time

# nothing_of DOMID [DEVID]: no node, no file.
nothing_of() {
    ! compgen -G "$RUN/blkback/$1-*/${2:-}" && ! compgen -G "$WORK/ram/$1-*-${2:-}*" && ! xenstore-exists "/local/domain/0/backend/vbd/$1${2:+/$2}"
}

# cycle_disk DOMID SPEC OPTION...: a disk comes to a guest that lives on, is used, and goes.
cycle_disk() {
    local domain=$1 spec=$2
    disk_attach "$domain" xvdb "$spec"
    guest "$domain" blk --requests 30 --blank "${@:3}" --verify-all "$XVDB" >/dev/null
    disk_detach "$domain" xvdb
    wait_until "$LIMIT_ATTACH" "the disk of cycle $cycle to be forgotten" nothing_of "$domain" "$XVDB"
}

# cycle_death SPEC HOW: a guest comes, and dies at a random moment: before, while or after it connects and is served. xl pauses a domain first.
cycle_death() {
    local spec=$1 how=$2 domain pid
    domain=$(simxen create)
    disk_attach "$domain" xvda "$spec"
    simxen exec "$domain" simguest blk --time 0 "$XVDA" >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 10))"
    [ -n "$how" ] || kill -STOP "$pid" 2>/dev/null || true
    simxen destroy "$domain" ${how:+"$how"}
    kill -KILL "$pid" 2>/dev/null || true # one that was stopped before it became the guest's
    wait "$pid" 2>/dev/null || true
    wait_until "$LIMIT_ATTACH" "guest $domain of cycle $cycle to be forgotten" nothing_of "$domain"
}

# stream DOMID COUNT: so many cycles, one after the other, beside other streams.
stream() {
    local domain=$1 cycle
    for ((cycle = 1; cycle <= $2; cycle++)); do
        case $((cycle % 4)) in
        0) cycle_disk "$domain" ram:4M ;;
        1) cycle_disk "$domain" "raw:$WORK/disk.$domain" --state "$WORK/state.$domain" ;;
        2) cycle_death ram:4M "" ;;
        3) cycle_death "raw:$WORK/dying.$domain" --abrupt ;;
        esac
    done
}

# streams COUNT: so many cycles of all streams together.
streams() {
    local domain pids=()
    for domain in "${domains[@]}"; do
        stream "$domain" $((($1 + STREAMS - 1) / STREAMS)) >>"$WORK/stream.$domain" 2>&1 &
        pids+=($!)
    done
    guest_pids+=("${pids[@]}")
    for domain in "${pids[@]}"; do
        wait "$domain" || fail "a cycle failed: $(cat "$WORK"/stream.*)"
    done
}

look() {
    held >"$WORK/held.$1"
    sizes >"$WORK/sizes.$1"
}

as_before() {
    held >"$WORK/held.after"
    cmp "$WORK/held.before" "$WORK/held.after"
}

# A sanitizer keeps what was freed, to see its use: not here, where memory is looked at.
export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
daemon_start_with --log-level=warning
steady=$(simxen create)
disk_attach "$steady" xvda ram:4M
# Its data is copied: pages that stay mapped would not stay so for more than a minute without requests.
guest_start "$steady" blk --persistent no --requests 1000 --blank --verify-all --hold "$XVDA"
wait_until "$LIMIT_REQUEST" "requests to be served" has_served "$steady/xvda" 300
domains=()
for ((each = 0; each < STREAMS; each++)); do
    domains+=("$(simxen create)")
    truncate -s 4M "$WORK/disk.${domains[each]}" "$WORK/dying.${domains[each]}"
done
streams $((cycles / 10 > 16 ? cycles / 10 : 16)) # what is made once is made
sleep 0.5
look before
cat "$WORK/held.before"
for ((done = 0; done < cycles; done += part)); do
    part=$((cycles - done < 1000 ? cycles - done : 1000))
    streams $part
    say "$((done + part)) cycles: $(sizes | tr '\n' ';')"
done
wait_until "$LIMIT_DAEMON" "all to be held that was held before, and nothing else" as_before
look after
sizes_flat "$WORK/sizes.before" "$WORK/sizes.after"
disk_detach "$steady" xvda
guest_finish "$started"
wait_until "$LIMIT_DAEMON" "everything to go with the last disk" nothing_of "$steady"
expect "workers besides the spare" 1 "$(children "$daemon_pid")"
