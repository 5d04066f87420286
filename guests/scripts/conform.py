"""The conformance program of all languages, in Python."""
import os
import sys
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

env = os.environ
body = sys.stdin.buffer.read(int(env["CONTENT_LENGTH"]))
out = sys.stdout.buffer
if env["PATH_INFO"] == "/binary":
    out.write(b"Content-Type: application/octet-stream\n\n" + body[::-1])
    sys.exit()
query, form = parse_qs(env["QUERY_STRING"]), parse_qs(body.decode())
cookies = SimpleCookie(env.get("HTTP_COOKIE", ""))


def value(fields, name):
    return fields.get(name, [""])[0]


print("to standard error", file=sys.stderr)
with open(os.path.join(os.path.dirname(__file__), "conform.txt")) as file:
    content = file.read()
text = f"""method: {env["REQUEST_METHOD"]}
path: {env["PATH_INFO"]}
query: {value(query, "name")} {value(query, "n")}
form: {value(form, "a")} {value(form, "b")}
cookies: {cookies["one"].value if "one" in cookies else ""} {cookies["two"].value if "two" in cookies else ""}
file: {content}"""
out.write(b"Status: 201\nContent-Type: text/plain; charset=utf-8\n")
out.write(b"Set-Cookie: first=1; Path=/\nSet-Cookie: second=2; Path=/\n\n" + text.encode())
