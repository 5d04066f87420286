#!/usr/bin/env bash
# Do two builds of the same commit, in two folders, give the same program?
#
#   packaging/supply-chain/reproduce.sh [PROFILE]
#
# Clones the commit twice, builds each clone in its own folder with PROFILE (default: dist), and compares the SHA-256 of both programs. Takes
# two complete builds, so it is run on demand and not in CI. Keeps the folders if they differ.
set -euo pipefail

profile=${1:-dist}
sources=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
commit=$(git -C "$sources" rev-parse HEAD)
scratch=$(mktemp -d)
# Paths of this machine must not be in the program: the folder, and that of the crates.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
SOURCE_DATE_EPOCH=$(git -C "$sources" log -1 --format=%ct)
export SOURCE_DATE_EPOCH

# Folders of different lengths: a path that gets into the program changes its size, too.
for folder in one another-folder; do
    git clone --quiet "$sources" "$scratch/$folder"
    git -C "$scratch/$folder" checkout --quiet "$commit"
    echo "building $commit in $scratch/$folder"
    (cd "$scratch/$folder" &&
        CARGO_TARGET_DIR=$scratch/$folder/target CARGO_INCREMENTAL=0 \
            RUSTFLAGS="--remap-path-prefix=$scratch/$folder=/wagi --remap-path-prefix=$cargo_home=/cargo" \
            cargo build --quiet --locked --profile "$profile")
    output=$profile
    [[ $profile == dev ]] && output=debug
    sha256sum "$scratch/$folder/target/$output/wagi" | cut -d' ' -f1 >"$scratch/$folder.sha256"
    # The compiler's work of the first build must not help the second; only the program is kept.
    mv "$scratch/$folder/target/$output/wagi" "$scratch/$folder.wagi"
    rm -rf "$scratch/$folder/target"
done

if cmp "$scratch/one.sha256" "$scratch/another-folder.sha256"; then
    echo "the same: $(cat "$scratch/one.sha256")  wagi of $commit, profile $profile"
    rm -rf "$scratch"
else
    echo "different: compare $scratch/one.wagi with $scratch/another-folder.wagi" >&2
    exit 1
fi
