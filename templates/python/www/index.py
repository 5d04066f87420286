"""Greets the name in the query."""

import os
import sys
from urllib.parse import parse_qs

name = parse_qs(os.environ["QUERY_STRING"]).get("name", ["world"])[0]
body = sys.stdin.buffer.read()
print("Content-Type: text/plain; charset=utf-8\n")
print(f"Hello, {name}!")
print(f"You asked for {os.environ['PATH_INFO']} and sent {len(body)} bytes.")
# Standard error goes to the log of the server.
print(f"greeted {name}", file=sys.stderr)
