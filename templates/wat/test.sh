#!/bin/sh
# Sends one request through the whole gateway, without a server.
set -eu
response=$(wagi run modules.toml /)
if [ "$response" != 'Hello from WebAssembly!' ]; then
  echo "unexpected: $response" >&2
  exit 1
fi
echo passed
