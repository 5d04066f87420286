"""Notes in a SQLite database."""
import os
import sqlite3
import sys

database = sqlite3.connect("/data/notes.db")
database.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
if os.environ["REQUEST_METHOD"] == "POST":
    with database:
        # Values are parameters, and never part of the statement.
        database.execute("INSERT INTO note (text) VALUES (?)", [sys.stdin.read(1000)])
    print("Status: 303\nLocation: /notes.py\n")
    sys.exit()
print("Content-Type: text/plain; charset=utf-8\n")
for number, text in database.execute("SELECT id, text FROM note ORDER BY id"):
    print(f"{number}. {text}")
