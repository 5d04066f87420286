#!/bin/sh
# Sends two requests through the whole gateway, without a server.
set -eu
response=$(wagi run modules.toml /api/message)
if [ "$response" != '{"message": "Hello from the API!"}' ]; then
  echo "unexpected: $response" >&2
  exit 1
fi
wagi run modules.toml / | grep -q '<title>{{name}}</title>'
echo passed
