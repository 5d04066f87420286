"""A WSGI application behind the CGI handler of the standard library. Flask and others are WSGI applications, too."""

import html
import importlib.util
import os
import random
import sys
from urllib.parse import parse_qs
from wsgiref.handlers import CGIHandler
from wsgiref.util import request_uri

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Python</title>
<h1>Hello, {name}</h1>
<form method="post" action="{action}">
<label>Name <input name="name" required></label>
<button>Greet</button>
</form>
<p>Python {version} at {uri}</p>
</html>
"""


def application(environ, start_response):
    if environ["PATH_INFO"] not in ("", "/"):
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"There is no such page.\n"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    form = parse_qs(environ["wsgi.input"].read(length).decode())
    page = PAGE.format(
        name=html.escape(form.get("name", ["world"])[0]),
        action=html.escape(environ["SCRIPT_NAME"]),
        version=sys.version.split()[0],
        uri=html.escape(request_uri(environ)),
    )
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]


# With `warm_start` each request begins here, with its own variables, which are copied again.
os.path.exists("/.wagi/checkpoint")
spec = importlib.util.find_spec("posix")
posix = importlib.util.module_from_spec(spec)
spec.loader.exec_module(posix)
os.environ._data.clear()
os.environ._data.update(posix.environ)
random.seed()

CGIHandler().run(application)
sys.stdout.flush()
# The response is complete: nothing has to be taken down for it.
os._exit(0)
