#!/usr/bin/env bash
# How are the components built that the tests carry?
#
#   guests/component/build.sh OUT_DIR
#
# Leaves http-probe.wasm (wasi:http 0.2), http3-probe.wasm and cli3-probe.wasm (WASI 0.3) in OUT_DIR, and cli-probe.wasm (wasi:cli
# 0.2) made of the probe.wasm that is there. The crates they depend on are downloaded; compilers are found as in
# guests/build.sh. Refresh the copies that the tests carry with `guests/component/build.sh tests/guests`.
set -euo pipefail

if [[ $# -ne 1 || $1 == -* ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$1" && pwd)
build=${CARGO_TARGET_DIR:-$here/target}
# Flags meant for building the gateway would replace those given here.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

cargo build --quiet --release --locked --manifest-path "$here/Cargo.toml" --package adapt --target-dir "$build/adapt"
adapt=$build/adapt/release/adapt

flags="--remap-path-prefix=$here=component --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
arguments=(build --quiet --release --locked --target wasm32-wasip1 --manifest-path "$here/Cargo.toml"
    --package wagi-guest-http --package wagi-guest-http3 --package wagi-guest-cli3 --target-dir "$build")
if command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1; then
    CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags cargo "${arguments[@]}"
else
    flags+=" --remap-path-prefix=/usr/lib/rustlib/src/rust=rust -Clink-self-contained=no -Clinker-flavor=wasm-ld"
    flags+=" -Clink-arg=/usr/lib/wasm32-wasi/crt1-reactor.o -L/usr/lib/wasm32-wasi"
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags \
        /usr/bin/cargo "${arguments[@]}" -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
fi
for name in http http3 cli3; do
    "$adapt" reactor "$build/wasm32-wasip1/release/${name}_probe.wasm" "$build/$name-probe.wasm"
    install -m 644 "$build/$name-probe.wasm" "$out/$name-probe.wasm"
done
if [[ -f $out/probe.wasm ]]; then
    "$adapt" command "$out/probe.wasm" "$build/cli-probe.wasm"
    install -m 644 "$build/cli-probe.wasm" "$out/cli-probe.wasm"
fi
