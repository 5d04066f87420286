"""The conformance program of all languages, as an HTTP component in Python."""

import sys
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    """The export of the world; its name is that of the interface."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        headers = {name: value.decode() for name, value in request.headers().entries()}
        content = read(request)
        if headers.get("wagi-path-info") == "/binary":
            answer(response_out, 200, [("content-type", b"application/octet-stream")], content[::-1])
            return
        print("to standard error", file=sys.stderr)
        fields = [
            ("content-type", b"text/plain; charset=utf-8"),
            ("set-cookie", b"first=1; Path=/"),
            ("set-cookie", b"second=2; Path=/"),
        ]
        answer(response_out, 201, fields, described(request, headers, content).encode())


def described(request: IncomingRequest, headers: dict[str, str], content: bytes) -> str:
    """Method, path, query, form, cookies, file."""
    query, form = parse_qs(urlsplit(request.path_with_query()).query), parse_qs(content.decode())
    cookies = SimpleCookie(headers.get("cookie", ""))

    def value(fields, name):
        return fields.get(name, [""])[0]

    def cookie(name):
        return cookies[name].value if name in cookies else ""

    with open("/www/conform.txt") as file:
        text = file.read()
    return f"""method: {type(request.method()).__name__.removeprefix("Method_").upper()}
path: {headers.get("wagi-path-info", "")}
query: {value(query, "name")} {value(query, "n")}
form: {value(form, "a")} {value(form, "b")}
cookies: {cookie("one")} {cookie("two")}
file: {text}"""


def answer(response_out: ResponseOutparam, status: int, fields: list[tuple[str, bytes]], content: bytes) -> None:
    response = OutgoingResponse(Fields.from_list(fields))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    with body.write() as stream:
        # No more than 4 KiB are taken at once.
        for start in range(0, len(content), 4096):
            stream.blocking_write_and_flush(content[start : start + 4096])
    OutgoingBody.finish(body, None)


def read(request: IncomingRequest) -> bytes:
    content = b""
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                content += stream.blocking_read(16 * 1024)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return content
                raise
