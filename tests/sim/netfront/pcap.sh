#!/bin/bash
# SPDX-License-Identifier: MIT
# The frames of a pcap file are sent as they are, and those that come back are written to one: byte for byte the same.
. "$(dirname "$0")/../../lib/netfront.sh"
reflector_start
guest_new
net "$domain" frames --count 300 --size 20-1500 --capture "$WORK/first.pcap" 0
net "$domain" replay --expect 300 --capture "$WORK/second.pcap" 0 "$WORK/first.pcap"
expect "frames sent" 300 "$(field sent)"
# frames FILE: one a line.
frames() {
    python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
at = 24
while at < len(data):
    length, = struct.unpack_from("<I", data, at + 8)
    print(data[at + 16:at + 16 + length].hex())
    at += 16 + length' "$1"
}
expect "frames in the file" 300 "$(frames "$WORK/first.pcap" | wc -l)"
expect "the frames" "$(frames "$WORK/first.pcap" | sha256sum)" "$(frames "$WORK/second.pcap" | sha256sum)"
reflector_stop
