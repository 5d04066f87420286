#!/usr/bin/env bash
# The SHA-256 of files that are given away, in the form that `sha256sum --check` reads.
#
#   packaging/supply-chain/checksums.sh target/dist/wagi target/wagi.cdx.json target/debian/wagi_*.deb > target/SHA256SUMS
#
# Names without their folders: the files are checked in the folder that they were loaded into.
set -euo pipefail

[[ $# -gt 0 ]] || { echo "usage: $0 FILE..." >&2; exit 2; }
for file; do
    (cd "$(dirname "$file")" && sha256sum --binary "$(basename "$file")")
done | sort -k 2
