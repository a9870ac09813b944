#!/bin/bash
# SPDX-License-Identifier: MIT
# Two guests talk over a hub: neighbours are found, echoes, datagrams and streams of both families come back verified; with and without what can be
# left to the other end (checksums, segmentation).
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start --hub
guest_new
near=$domain
guest_new
far=$domain
for without in rx-notify gso4,gso6 csum4,csum6 sg; do
    net_start "$far" up --address 10.0.0.2 --address fd00::2 --queues 2 0
    up=$started
    for peer in 10.0.0.2 fd00::2; do
        net "$near" ping --without $without --address 10.0.0.1 --address fd00::1 --count 100 --rate 1000 0 $peer
        net "$near" udp --without $without --address 10.0.0.1 --address fd00::1 --count 500 0 $peer
        net "$near" udp --without $without --address 10.0.0.1 --address fd00::1 --count 500 --one-way 0 $peer
        net "$near" tcp --without $without --address 10.0.0.1 --address fd00::1 --bytes 2M 0 $peer
        [ "$without" != rx-notify ] || [ "$(field rx_gso)" -gt 0 ] || fail "no large segments came"
    done
    net_stop "$up"
    expect "datagrams that came" 2000 "$(field received)"
    expect "echoes answered" 200 "$(field echoed)"
    expect "streams accepted" 2 "$(field streams)"
done
reflector_stop
