#!/bin/bash
# SPDX-License-Identifier: MIT
# Workers, supervisors, and both are killed while a chain is coalesced under a guest's I/O: it goes on by itself, and the guest reads what it wrote. So it does when
# all was done and nobody had heard of it.
. "$(dirname "$0")/../../lib/blkback.sh"
. "$(dirname "$0")/../../lib/images.sh"
half_used 16

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
half_right 16
