#!/usr/bin/env bash
# Do two builds of the same commit, in two folders, give the same program?
#
#   packaging/supply-chain/reproduce.sh [PROFILE]
#
# Clones the commit twice, builds each clone in its own folder with PROFILE (default: dist; dev and release are quicker), and compares both
# programs. It takes two complete builds, so it is run on demand and not in CI. TMPDIR needs some GB. If the programs differ, they are kept.
set -euo pipefail

profile=${1:-dist}
case $profile in
    dev | test) output=debug ;;
    bench) output=release ;;
    -* | '') echo "usage: reproduce.sh [PROFILE]" >&2 && exit 2 ;;
    *) output=$profile ;;
esac
sources=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
commit=$(git -C "$sources" rev-parse HEAD)
if [[ -n $(git -C "$sources" status --porcelain) ]]; then
    echo "note: what is not committed is not built" >&2
fi
scratch=$(mktemp -d)
# As programs see it, without symbolic links.
scratch=$(cd "$scratch" && pwd -P)
trap 'rm -rf "$scratch"' EXIT

cargo_home=$(cd "${CARGO_HOME:-$HOME/.cargo}" && pwd -P)
sysroot=$(cd "$sources" && rustc --print sysroot)
SOURCE_DATE_EPOCH=$(git -C "$sources" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# What the environment says of builds is for others. Flags for rustc are in the names of folders that build scripts write to, and those names
# may be in the program: so both builds have none, and paths are replaced by a wrapper instead, which cargo does not count.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET CARGO_BUILD_BUILD_DIR CARGO_BUILD_TARGET_DIR
for variable in $(compgen -e); do
    case $variable in
        CARGO_PROFILE_* | CARGO_TARGET_*_RUSTFLAGS | CARGO_TARGET_*_LINKER) unset "$variable" ;;
    esac
done
cat >"$scratch/rustc" <<'END'
#!/bin/sh
# The compiler of cargo, with paths of this machine replaced.
compiler=$1
shift
exec "$compiler" "$@" --remap-path-prefix="$WAGI_CARGO_HOME=/cargo" --remap-path-prefix="$WAGI_SYSROOT=/rust" \
    --remap-path-prefix="$WAGI_FOLDER=/wagi"
END
chmod +x "$scratch/rustc"

# Folders of different lengths: a path that gets into the program changes its size, too.
for folder in one another-folder; do
    git clone --quiet --no-checkout "$sources" "$scratch/$folder"
    git -C "$scratch/$folder" checkout --quiet --detach "$commit"
    echo "building $commit in $scratch/$folder, profile $profile" >&2
    # The compiler for C writes names of sources, too.
    prefixes="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$scratch/$folder=/wagi"
    (cd "$scratch/$folder" &&
        WAGI_CARGO_HOME=$cargo_home WAGI_SYSROOT=$sysroot WAGI_FOLDER=$scratch/$folder RUSTC_WRAPPER=$scratch/rustc \
            CFLAGS="${CFLAGS:-} $prefixes" CXXFLAGS="${CXXFLAGS:-} $prefixes" \
            CARGO_INCREMENTAL=0 cargo build --quiet --locked --profile "$profile" --package wagi --bin wagi \
            --target-dir "$scratch/$folder/target")
    # The compiler's work of the first build must not help the second; only the program is kept.
    mv "$scratch/$folder/target/$output/wagi" "$scratch/$folder.wagi"
    rm -rf "$scratch/$folder"
done

if cmp --silent "$scratch/one.wagi" "$scratch/another-folder.wagi"; then
    sum=$(sha256sum "$scratch/one.wagi" | cut -d' ' -f1)
    echo "the same: $sum  wagi of $commit, profile $profile"
    # Equal is not enough elsewhere: what is left are paths of this machine.
    if grep --quiet --text --fixed-strings -e "$scratch" -e "$cargo_home" "$scratch/one.wagi"; then
        echo "note: the program has paths of this machine in it, such as" >&2
        grep --text --only-matching --extended-regexp "($scratch|$cargo_home)[[:graph:]]{0,120}" "$scratch/one.wagi" | sort -u | head -5 >&2 || true
    fi
else
    trap - EXIT
    rm "$scratch/rustc"
    echo "different: $scratch/one.wagi and $scratch/another-folder.wagi" >&2
    echo "bytes: $(wc -c <"$scratch/one.wagi") and $(wc -c <"$scratch/another-folder.wagi")" >&2
    # Words that only one of them has say most.
    words() { grep --text --only-matching --extended-regexp '[[:graph:]]{12,}' "$1" | sort -u; }
    comm -3 <(words "$scratch/one.wagi") <(words "$scratch/another-folder.wagi") | head -20 >&2 || true
    exit 1
fi
