"""An API that takes and returns JSON."""
import json
import os
import sys


def answer(status, value):
    print(f"Status: {status}\nContent-Type: application/json\n")
    print(json.dumps(value))
    sys.exit()


if os.environ["REQUEST_METHOD"] != "POST":
    answer(405, {"error": "POST an array of numbers"})
try:
    numbers = json.load(sys.stdin)
    if not isinstance(numbers, list):
        raise TypeError
    total = sum(numbers)
except (ValueError, TypeError):
    answer(400, {"error": "not an array of numbers"})
answer(200, {"sum": total})
