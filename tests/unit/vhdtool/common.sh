# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of `ringctl vhd` share: a folder of their own, ways to fail.

ringctl=${1:?usage: $0 RINGCTL}
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../lib" && pwd)
work=$(mktemp -d)
trap 'cd /; mountpoint -q "$work/mnt" && umount "$work/mnt"; rm -rf --one-file-system "$work"' EXIT
cd "$work" || exit 1

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# refused STATUS WORDS COMMAND...: it ends with this status and says this.
refused() {
    local wanted=$1 words=$2 status=0 said
    shift 2
    said=$("$@" 2>&1) || status=$?
    [ "$status" -eq "$wanted" ] || fail "'$*' ended with $status, not $wanted: $said"
    case $said in
    *"$words"*) ;;
    *) fail "'$*' said '$said', not '$words'" ;;
    esac
}

# scribble FILE OFFSET BYTES [SEED]: random bytes, the same for the same seed.
scribble() {
    python3 -c 'import random, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    file.write(random.Random(int(sys.argv[4])).randbytes(int(sys.argv[3])))' "$1" "$2" "$3" "${4:-1}"
}

same() {
    cmp "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# as_raw SPEC RAW: what our own reading makes of an image.
as_raw() {
    rm -f "$2"
    "$ringctl" vhd convert "$1" "raw:$2" || fail "$1 cannot be read"
}
