"""What does an HTTP component in Python see of a request, and can it answer in pieces?"""

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import monotonic_clock
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Other,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

A_TENTH_OF_A_SECOND = 100_000_000


class IncomingHandler(exports.IncomingHandler):
    """The export of the world; its name is that of the interface."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        body = response.body()
        # The head is on its way from here on.
        ResponseOutparam.set(response_out, Ok(response))
        pieces = slowly() if path(request).endswith("/stream") else described(request)
        with body.write() as stream:
            for piece in pieces:
                # No more than 4 KiB are taken at once.
                for start in range(0, len(piece), 4096):
                    stream.blocking_write_and_flush(piece[start : start + 4096])
        OutgoingBody.finish(body, None)


def slowly():
    """Three lines, and time between them."""
    for number in range(1, 4):
        yield f"piece {number}\n".encode()
        monotonic_clock.subscribe_duration(A_TENTH_OF_A_SECOND).block()


def described(request: IncomingRequest):
    """Method, path, headers and body."""
    yield f"{method(request)} {request.path_with_query()}\n".encode()
    for name, value in sorted(request.headers().entries()):
        yield name.encode() + b": " + value + b"\n"
    yield b"\n"
    yield from content(request)


def content(request: IncomingRequest):
    """The body as it comes."""
    with request.consume() as body, body.stream() as stream:
        while True:
            try:
                yield stream.blocking_read(16 * 1024)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return
                raise


def path(request: IncomingRequest) -> str:
    return (request.path_with_query() or "").partition("?")[0]


def method(request: IncomingRequest) -> str:
    """`Method_Get` is GET; what has no name of its own comes as text."""
    known = request.method()
    return known.value if isinstance(known, Method_Other) else type(known).__name__.removeprefix("Method_").upper()
