#!/bin/sh
# Sends one request through the whole gateway, without a server.
set -eu
response=$(wagi run modules.toml '/some/path?name=Ann' --data 12345)
expected='Hello, Ann!
You asked for /some/path and sent 5 bytes.'
if [ "$response" != "$expected" ]; then
  echo "unexpected: $response" >&2
  exit 1
fi
echo passed
