"""Counts the visits of a browser, in a cookie that only this server can make."""
import hmac
import os
from http.cookies import SimpleCookie

key = os.environ["SESSION_KEY"].encode()


def signature(value):
    return hmac.new(key, value.encode(), "sha256").hexdigest()


visits = 0
cookie = SimpleCookie(os.environ.get("HTTP_COOKIE", "")).get("visits")
if cookie:
    value, _, signed = cookie.value.partition(".")
    if hmac.compare_digest(signed, signature(value)):
        visits = int(value)
visits += 1
value = f"{visits}.{signature(str(visits))}"
print(f"Set-Cookie: visits={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400")
print(f"Content-Type: text/plain\n\nvisit {visits}")
