"""Keeps a file that a form sends (multipart/form-data)."""
import os
import re
import sys
from email.parser import BytesParser

head = f"Content-Type: {os.environ['CONTENT_TYPE']}\r\n\r\n".encode()
form = BytesParser().parsebytes(head + sys.stdin.buffer.read())
files = [part for part in form.walk() if part.get_filename()]
if not files:
    print("Status: 400\nContent-Type: text/plain\n\nthere is no file in the form")
    sys.exit()
for part in files:
    # Never use a client's file name as a path.
    name = re.sub(r"[^A-Za-z0-9_-]", "_", part.get_filename().rsplit(".", 1)[0]) + ".upload"
    content = part.get_payload(decode=True)
    os.makedirs("/data/uploads", exist_ok=True)
    with open(f"/data/uploads/{name}", "wb") as file:
        file.write(content)
    print(f"Status: 201\nContent-Type: text/plain\n\n{name}: {len(content)} bytes")
