# Names for what cargo does. `just` alone lists them.

[private]
default:
    @just --list

# Serve the examples on http://127.0.0.1:3000
serve *arguments:
    cargo run --release -- -c examples/modules.toml {{arguments}}

# Format the gateway and the guests
fmt:
    cargo fmt
    cargo fmt --manifest-path guests/Cargo.toml

# Lint, warnings denied
clippy:
    cargo clippy --all-targets -- -D warnings

# Run all tests
test *arguments:
    cargo test {{arguments}}

# Build the documentation of the library, warnings denied
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Check licences, bans, sources and known advisories
deny:
    cargo deny check

# Check known advisories alone, as they are today
advisories:
    cargo deny --locked check advisories

# How fast it is, beside other servers; bench/setup.sh installs them
bench *arguments:
    cargo run --profile dist -p wagi-bench -- {{arguments}}

# Rebuild the guest that the tests carry
guests:
    guests/build.sh tests/guests

# Everything a change has to pass
ci:
    bash .ci/run
