#!/bin/bash
# SPDX-License-Identifier: MIT
# A front end that stays Initialised for ever, as PV GRUB, is served; then closed and replaced by a kernel's.
. "$(dirname "$0")/../../lib/blkback.sh"
daemon_start
domain=$(simxen create)
disk_attach "$domain" xvda ram:32M
guest "$domain" blk --as grub --reconnect 1 --time 2 --blank --verify-all "$XVDA"
