"""Removes uploads that are older than a day. A timer runs it, not a client."""
import os
import time

removed = 0
for entry in os.scandir("/data/uploads") if os.path.isdir("/data/uploads") else []:
    if entry.stat().st_mtime < time.time() - 24 * 60 * 60:
        os.remove(entry.path)
        removed += 1
print(f"Content-Type: text/plain\n\nremoved {removed}")
