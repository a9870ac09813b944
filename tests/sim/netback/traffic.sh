#!/bin/bash
# SPDX-License-Identifier: MIT
# Two guests on a Linux bridge, and the host on it, talk to each other: echoes, datagrams and streams of both families come back verified, with and
# without what can be left to the other end (checksums, segmentation, scattered frames), over one queue and several. One that stops amid a stream ends well.
. "$(dirname "$0")/../../lib/netback.sh"
bridge_new br0 10.0.0.254/24
daemon_start
guest_new
near=$domain
guest_new
far=$domain
for options in "" "--queues 4" "--without gso4,gso6" "--without csum4,csum6" "--without sg" "--without split,rx-notify"; do
    say "--- $options"
    # shellcheck disable=SC2086 # several words
    net_start "$far" up --address 10.0.0.2 --address fd00::2 $options 0
    up=$started
    for peer in 10.0.0.2 fd00::2; do
        # shellcheck disable=SC2086
        for what in "ping --count 50 --rate 500" "udp --count 200" "tcp --bytes 1M"; do
            net "$near" ${what%% *} $options --address 10.0.0.1 --address fd00::1 ${what#* } 0 $peer
        done
    done
    # shellcheck disable=SC2086
    net "$near" ping $options --address 10.0.0.1 --count 20 --rate 500 0 10.0.0.254
    net_stop "$up"
    expect "checksums that were wrong" 0 "$(field bad_checksum)"
done
say "--- stopped amid a stream"
net_start "$far" up --address 10.0.0.2 --lossy 0
up=$started
net_start "$near" tcp --address 10.0.0.1 --bytes 1000G 0 10.0.0.2
stream=$started
from=$(card_field "$far/0" .rx.bytes)
flows() { [ "$(card_field "$far/0" .rx.bytes)" -gt $((from + 1000000)) ]; }
wait_until "$LIMIT_REQUEST" "a stream" flows
net_stop "$up"
kill -TERM "$stream"
wait "$stream" || true # nobody answers it
card_detach "$near" 0
card_detach "$far" 0
daemon_end TERM
expect "taps left" "" "$(ip -o link | grep -o 'vif[0-9.]*' || true)"
