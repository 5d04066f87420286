#!/usr/bin/env bash
# How are the guest programs built from source?
#
#   guests/build.sh OUT_DIR [rust] [outbound] [c] [go]        without a name: rust
#
# Leaves probe.wasm, outbound.wasm, c-hello.wasm, c-echo.wasm and go-hello.wasm in OUT_DIR, as far as asked for.
# Installs nothing; outbound, in Rust like the probe, depends on crates, which are downloaded. Refresh the copy that the
# tests carry with `guests/build.sh tests/guests`.
#
# Rust is built with rustup's wasm32-wasip1 target where that is installed. Otherwise with Debian's compiler, which
# builds the standard library from source (packages rustc-web cargo-web rust-web-src wasi-libc lld). Two compilers write
# different bytes, so a rebuilt program is judged by what it does and not by comparing files.
set -euo pipefail

if [[ $# -lt 1 || $1 == -* ]]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift

has_rustup_target() {
    command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1
}

# Builds the package $1, whose program is called $2.
build_rust() {
    local build=${CARGO_TARGET_DIR:-$here/target}
    local arguments=(build --quiet --release --locked --target wasm32-wasip1 --manifest-path "$here/Cargo.toml"
        --package "$1" --target-dir "$build")
    # Panic messages name source files: without this, the bytes would depend on where they lie.
    local flags="--remap-path-prefix=$here=guests --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
    # Flags meant for building the gateway would replace those given here.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    if has_rustup_target; then
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags cargo "${arguments[@]}"
    elif [[ -x /usr/bin/cargo && -x /usr/bin/rustc && -f /usr/lib/wasm32-wasi/crt1-command.o ]]; then
        # Debian ships a compiler that knows the target, and the C library, but no built standard library. Building one
        # is reserved to nightly compilers, hence the bootstrap switch. The C start-up file is named because a compiler
        # that does not carry its own no longer looks for one.
        flags+=" --remap-path-prefix=/usr/lib/rustlib/src/rust=rust"
        flags+=" -Clink-self-contained=no -Clinker-flavor=wasm-ld"
        flags+=" -Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o -L/usr/lib/wasm32-wasi"
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags \
            /usr/bin/cargo "${arguments[@]}" -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
    else
        echo "build.sh: no Rust compiler for wasm32-wasip1: try 'rustup target add wasm32-wasip1'" >&2
        exit 1
    fi
    # Not `cp`, which would make the copy executable.
    install -m 644 "$build/wasm32-wasip1/release/$2.wasm" "$out/$2.wasm"
}

build_c() {
    local name
    for name in hello echo; do
        clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror -Wl,--strip-all "$here/c/$name.c" -o "$out/c-$name.wasm"
    done
}

build_go() {
    # The compiler at hand is the one to use; fetching another is not this script's business.
    (cd "$here/go" && GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
        go build -trimpath -ldflags=-s -o "$out/go-hello.wasm" hello.go)
}

for language in "${@:-rust}"; do
    case $language in
    rust) build_rust wagi-guests probe ;;
    outbound) build_rust wagi-guest-outbound outbound ;;
    c | go) "build_$language" ;;
    *)
        echo "build.sh: no guests in '$language'" >&2
        exit 2
        ;;
    esac
done
