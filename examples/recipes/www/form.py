"""A form that comes back with what was typed."""
import os
import sys
from html import escape
from urllib.parse import parse_qs

name = ""
if os.environ["REQUEST_METHOD"] == "POST":
    name = parse_qs(sys.stdin.read()).get("name", [""])[0]
print("Content-Type: text/html; charset=utf-8\n")
if name:
    # Whatever comes from a client is escaped.
    print(f"<p>Hello, {escape(name)}!</p>")
print(f'<form method="post"><input name="name" value="{escape(name)}"><button>Send</button></form>')
