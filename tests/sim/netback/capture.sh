#!/bin/bash
# SPDX-License-Identifier: MIT
# ringctl capture: what a card's guest sends and receives is in the file, byte for byte, on a tap and on the switch; while its reader is stopped the guest's
# traffic goes on, and what finds no room is counted; when its worker is killed it goes on with the next; with its client, its card or netbackd it ends, and
# nothing of it is left.
. "$(dirname "$0")/../../lib/netback.sh"
need python3 tcpdump curl jq

# frames FILE MAC: of a pcap file those that are whole and from that address, one a line; a file may be being written.
frames() {
    python3 - "$@" <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
source = bytes.fromhex(sys.argv[2].replace(":", ""))
at = 24
while at + 16 <= len(data):
    captured, length = struct.unpack_from("<II", data, at + 8)
    frame = data[at + 16:at + 16 + captured]
    if len(frame) == captured == length and frame[6:12] == source:
        print(frame.hex())
    at += 16 + captured
END
}

# ends_alike A B MAC COUNT: the last COUNT frames from that address, and there are so many, are the same in both files.
ends_alike() {
    local a b
    a=$(frames "$1" "$3" | tail -n "$4")
    b=$(frames "$2" "$3" | tail -n "$4")
    [ -n "$a" ] && [ "$(wc -l <<<"$a")" -eq "$4" ] && [ "$a" = "$b" ]
}

# within A B MAC COUNT: all frames from that address in file A, and there are so many at least, stand in file B, one behind the other.
within() {
    local a
    a=$(frames "$1" "$3")
    [ "$(wc -l <<<"$a")" -ge "$4" ] || fail "$(wc -l <<<"$a") frames are in $1"
    [[ $(frames "$2" "$3") == *"$a"* ]]
}

mac_of() { card_field "$1/0" .mac; }
worker_of() { card_field "$1/0" .worker.pid; }
# whether the worker has a capture's memory
copies() { grep -q ringback-capture "/proc/$(worker_of "$1")/maps"; }
copies_not() { ! grep -q ringback-capture "/proc/$1/maps"; }
rests() { [ "$(descriptors "$daemon_pid")" -le "$1" ]; }

# capture_start DOMID FILE [OPTION]...: in the background; its process is $capture, what it says is in FILE.said.
capture_start() {
    local domid=$1 file=$2
    shift 2
    ringctl capture --socket="$RUN/netbackd.sock" "$@" "$domid/vif0" "$file" >"$file.said" 2>&1 &
    capture=$!
    guest_pids+=("$capture")
    wait_until "$LIMIT_ATTACH" "the worker to copy frames" copies "$domid"
}

# capture_end SIGNAL STATUS FILE
capture_end() {
    local status=0
    [ "$1" = none ] || kill -"$1" "$capture"
    wait "$capture" || status=$?
    say "$(cat "$3.said")"
    expect "exit status of the capture" "$2" "$status"
}

# talks FILE COUNT SIZE: the near guest sends numbered frames, which the far one sends back: they are at the end of FILE.
talks() {
    net "$near" frames --count "$2" --size "$3" --capture "$WORK/near.pcap" 0
    wait_until "$LIMIT_GUEST" "what the far guest sent back" ends_alike "$1" "$WORK/near.pcap" "$(mac_of "$far")" "$2"
}

# packets: how many tcpdump tells of.
packets() { grep -c '^[0-9][0-9]:'; }

# counted FILE WORD: the number before "WORD" in what the capture said at its end.
counted() { grep -o "[0-9]* $2" "$1.said" | cut -d' ' -f1; }

# passed: how many frames of the far guest's card did, either way.
passed() { card_field "$far/0" '.tx.packets + .rx.packets'; }

# caught_up FILE: what the far guest sends now is captured.
caught_up() {
    local tries
    net "$near" frames --count 20 --size 200 --capture "$WORK/near.pcap" 0
    for ((tries = 0; tries < 50; tries++)); do
        ends_alike "$1" "$WORK/near.pcap" "$(mac_of "$far")" 20 && return
        sleep 0.02
    done
    return 1
}

# captures NAME: all of it, for the far guest's card.
captures() {
    local file before begun ended total rest old near_mac
    say "--- $1"
    net_start "$far" up --reflect --address 10.0.0.2 --capture "$WORK/far.pcap" 0
    up=$started
    wait_until "$LIMIT_ATTACH" "the card to be connected" card_is "$far/0" .activity connected
    rest=$(descriptors "$daemon_pid")

    file=$WORK/$1.pcap
    capture_start "$far" "$file"
    talks "$file" 300 20-1500
    expect "a second capture" 409 "$(curl -s -o "$WORK/second" -w '%{http_code}' -X POST --unix-socket "$RUN/netbackd.sock" \
        "http://localhost/v1/devices/$far/0/capture")"
    say "a worker is killed"
    old=$(worker_of "$far")
    kill -KILL "$old"
    wait_until "$LIMIT_RECOVERY" "a successor" worker_replaced "$far/0" "$old"
    wait_until "$LIMIT_RECOVERY" "the successor to copy frames" copies "$far"
    talks "$file" 200 20-1500
    capture_end INT 0 "$file"
    grep -q "; 0 found no room" "$file.said" || fail "frames found no room"
    [ "$(counted "$file" "frames captured")" -ge 1000 ] || fail "the count is wrong"
    wait_until "$LIMIT_RECOVERY" "the worker to copy no more" copies_not "$(worker_of "$far")"
    wait_until "$LIMIT_RECOVERY" "netbackd to let go of it" rests "$rest"

    say "its reader is stopped"
    file=$WORK/$1-slow.pcap
    before=$(passed)
    capture_start "$far" "$file"
    begun=$(passed)
    kill -STOP "$capture"
    net "$near" tcp --address 10.0.0.1 --bytes 40M 0 10.0.0.2
    ended=$(passed)
    kill -CONT "$capture"
    wait_until "$LIMIT_GUEST" "the capture to have caught up" caught_up "$file"
    wait_until "$LIMIT_GUEST" "the capture to go on" caught_up "$file" # behind all that was told of what was dropped
    capture_end TERM 0 "$file"
    [ "$(counted "$file" "found no room")" -gt 0 ] || fail "nothing was dropped: the test does not test"
    total=$(($(counted "$file" "frames captured") + $(counted "$file" "found no room")))
    # The bridge has something to say at any time: frames before the capture had begun, and after it ended, are not in it.
    say "$total captured or dropped, $((ended - begun)) to $(($(passed) - before)) passed"
    [ "$total" -ge $((ended - begun)) ] || fail "frames are neither captured nor counted"
    [ "$total" -le $(($(passed) - before)) ] || fail "frames were captured or counted twice"

    say "its client is killed"
    capture_start "$far" "$WORK/killed.pcap"
    capture_end KILL 137 "$WORK/killed.pcap"
    wait_until "$LIMIT_RECOVERY" "the worker to copy no more" copies_not "$(worker_of "$far")"
    wait_until "$LIMIT_RECOVERY" "netbackd to let go of it" rests "$rest"

    say "netbackd is killed"
    old=$(worker_of "$far")
    capture_start "$far" "$WORK/orphan.pcap"
    daemon_end KILL
    capture_end none 3 "$WORK/orphan.pcap"
    wait_until "$LIMIT_RECOVERY" "the worker to copy no more" copies_not "$old"
    daemon_start
    wait_until "$LIMIT_RECOVERY" "the card to be served" card_is "$far/0" .activity connected
    expect "the worker" "$old" "$(worker_of "$far")"

    say "some frames, and parts of them"
    file=$WORK/$1-some.pcap
    capture_start "$far" "$file" --count 30 --snaplen 60
    net "$near" frames --count 40 --size 200 0
    capture_end none 0 "$file"
    expect "frames in the file" 30 "$(tcpdump -nn -r "$file" 2>/dev/null | packets)"
    grep -q "snapshot length 60" < <(tcpdump -nn -r "$file" 2>&1 >/dev/null) || fail "the snapshot length is not in the file"
    control capture --time 1 "$far/vif0" "$WORK/short.pcap" || fail "a capture of one second"
    control capture "$far/vif0" - 2>"$WORK/pipe.said" | tcpdump -nn -c 5 -r - >"$WORK/pipe" 2>/dev/null &
    local pipe=$!
    wait_until "$LIMIT_ATTACH" "the worker to copy frames" copies "$far"
    net "$near" frames --count 40 --size 200 0
    wait "$pipe" || fail "the pipe's reader has been served, and is gone: that is no fault"
    expect "frames through a pipe" 5 "$(packets <"$WORK/pipe")"

    say "its card goes"
    capture_start "$far" "$WORK/gone.pcap"
    net_stop "$up"
    near_mac=$(mac_of "$near")
    within "$WORK/$1.pcap" "$WORK/far.pcap" "$near_mac" 500 || fail "what the far guest received is not what was captured"
    card_detach "$far" 0
    capture_end none 1 "$WORK/gone.pcap"
    grep -q "the card is served no more" "$WORK/gone.pcap.said" || fail "the reason is not told"
}

bridge_new br0
printf '[bridge lan]\n' >"$WORK/switch.conf"
switch_start
daemon_start

guest_new
near=$domain
guest_new
far=$domain
captures tap

near=$(simxen create)
far=$(simxen create)
card_switched "$near" 0 lan
card_switched "$far" 0 lan
captures switch

# refused STATUS COMMAND...
refused() {
    local status=0 wanted=$1
    shift
    "$@" >"$WORK/refused" 2>&1 || status=$?
    cat "$WORK/refused"
    expect "exit status of $*" "$wanted" "$status"
}
refused 4 control capture "$far/vif7" "$WORK/no.pcap"
refused 2 control capture "$far/xvda" "$WORK/no.pcap"
refused 2 control capture --snaplen 0 "$near/vif0" "$WORK/no.pcap"
refused 1 control capture "$near/vif0" "$WORK/no/such/directory"
[ ! -e "$WORK/no.pcap" ] || fail "a file of a capture that was refused"
daemon_end TERM
