"""A picture of one colour, as PNG."""
import os
import re
import struct
import sys
import zlib
from urllib.parse import parse_qs

colour = parse_qs(os.environ["QUERY_STRING"]).get("colour", [""])[0]
if not re.fullmatch("[0-9a-f]{6}", colour):
    print("Status: 400\nContent-Type: text/plain\n\na colour is written as ff8800")
    sys.exit()


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


width, height = 64, 32
row = b"\0" + bytes.fromhex(colour) * width
sys.stdout.buffer.write(b"Content-Type: image/png\nCache-Control: max-age=86400\n\n\x89PNG\r\n\x1a\n")
sys.stdout.buffer.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
sys.stdout.buffer.write(chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b""))
