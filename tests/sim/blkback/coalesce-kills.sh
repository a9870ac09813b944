#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, supervisors, and both are killed while a chain is coalesced under a guest's I/O: it goes on by itself, and the guest reads what it wrote. So it does when
# all was done and nobody had heard of it.
. "$(dirname "$0")/../../lib/blkback.sh"
need python3
RINGCTL=$RINGBACK_BUILD/tools/ringctl/ringctl
daemon_start
domain=$(simxen create)
mkdir "$WORK/images"
cd "$WORK/images"
# The guest uses the first half; what is in the other is always there to be copied.
{ head -c 16M /dev/zero && head -c 16M /dev/urandom; } >"$WORK/first.raw"
"$RINGCTL" vhd convert raw:"$WORK/first.raw" vhd:disk.vhd
disk_attach "$domain" xvda "vhd:$WORK/images/disk.vhd"
guest_start "$domain" blk --time 0 --blank --span 16M --discard 2 --state "$WORK/model" --verify-all "$XVDA"
user=$started

served() {
    wait_until "$LIMIT_RECOVERY" "the disk to be served" disk_is "$domain/xvda" .activity connected
    wait_until "$LIMIT_REQUEST" "$1 more requests to be served" has_served "$domain/xvda" "$(($(disk_field "$domain/xvda" .requests.read) + $1))"
}

# deepen COUNT: so many snapshots.
deepen() {
    local i
    for ((i = 0; i < $1; i++)); do
        served 100
        control snapshot --timeout="$LIMIT_ATTACH" "$domain/xvda" "kept-$((kept++)).vhd" >/dev/null
    done
    served 100
}
kept=0

alone() { disk_is "$domain/xvda" '.parents | length' 0 && disk_is "$domain/xvda" .coalesce null; }
goes_on() { [ "$(disk_field "$domain/xvda" '.coalesce.done // 0')" -gt 0 ]; }

# end_of WHOM: kills them; a worker may be gone already, which is replaced when all is done.
end_of() {
    local worker
    worker=$(disk_field "$domain/xvda" '.worker.pid // empty')
    if [ "$1" != supervisor ] && [ -n "$worker" ]; then
        kill -KILL "$worker" 2>/dev/null || true
    fi
    [ "$1" != worker ] || return 0
    daemon_end KILL
    daemon_start
}

# In the middle of it, which a limit keeps it in.
deepen 3
control coalesce "$domain/xvda" --background --limit=1
for whom in worker supervisor both worker both supervisor; do
    wait_until "$LIMIT_REQUEST" "something to be copied" goes_on
    end_of $whom
    served 50
    expect "the limit after the end of $whom" 1 "$(disk_field "$domain/xvda" .coalesce.limit)"
    expect "the parents after the end of $whom" 3 "$(disk_field "$domain/xvda" '.parents | length')"
done
control coalesce "$domain/xvda" --background
wait_until "$LIMIT_REQUEST" "the image to need no parent" alone

# Cancelled, and not taken up again by who comes next.
deepen 1
control coalesce "$domain/xvda" --background --limit=1
wait_until "$LIMIT_REQUEST" "something to be copied" goes_on
control coalesce "$domain/xvda" --cancel
for whom in worker supervisor both; do
    end_of $whom
    served 50
    expect "what is told after the end of $whom" null "$(disk_field "$domain/xvda" .coalesce)"
    expect "the parents after the end of $whom" 1 "$(disk_field "$domain/xvda" '.parents | length')"
done

# At any moment, the last ones too.
for ((i = 0; i < 9; i++)); do
    deepen 1
    control coalesce "$domain/xvda" --background
    sleep "0.$((RANDOM % 20 + 100))"
    case $((i % 3)) in
    0) end_of worker ;;
    1) end_of both ;;
    2) end_of supervisor ;;
    esac
    served 20
    wait_until "$LIMIT_REQUEST" "the image to need no parent ($i)" alone
    rm kept-*.vhd
done

# A worker that ended when all was done, and before it could say so: with what it would have left, made by another program.
for wanted in yes no; do
    deepen 2
    chain=(disk.vhd "kept-$((kept - 1)).vhd" "kept-$((kept - 2)).vhd")
    [ $wanted = no ] || control coalesce "$domain/xvda" --background --limit=1
    kill -STOP "$daemon_pid"
    kill -KILL "$(head -c 20 "$RUN"/blkback/*/worker | cut -d' ' -f1)"
    mkdir "$WORK/copy"
    cp "${chain[@]}" "$WORK/copy/"
    "$RINGCTL" vhd coalesce "$WORK/copy/disk.vhd"
    cat "$WORK/copy/disk.vhd" >disk.vhd
    rm -r "$WORK/copy"
    kill -CONT "$daemon_pid"
    served 50
    [ $wanted = no ] || wait_until "$LIMIT_RECOVERY" "the parents to be let go of" alone
done
guest_stop "$user"
disk_detach "$domain" xvda
rm kept-*.vhd
"$RINGCTL" vhd check disk.vhd
"$RINGCTL" vhd convert vhd:disk.vhd raw:"$WORK/check.raw"
"$LIB/vhdread.py" disk.vhd | cmp - "$WORK/check.raw" || fail "another reader reads something else"
cmp -i 16M "$WORK/first.raw" "$WORK/check.raw" || fail "what nobody wrote to is something else"
truncate -s 16M "$WORK/check.raw"
simguest check "$WORK/model.$XVDA" "$WORK/check.raw"
