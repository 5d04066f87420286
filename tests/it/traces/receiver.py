"""A collector for OTLP over HTTP that owes nothing to the code it listens to: prints each request as a line of JSON.

receiver.py [CERTIFICATE KEY]
"""

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def values(attributes):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def spans(message):
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "flags": span.flags,
                    "name": span.name,
                    "kind": Span.SpanKind.Name(span.kind),
                    "began": span.start_time_unix_nano,
                    "ended": span.end_time_unix_nano,
                    "attributes": values(span.attributes),
                    "status": Status.StatusCode.Name(span.status.code),
                    "message": span.status.message,
                    "resource": values(resource.resource.attributes),
                    "scope": scope.scope.name,
                }


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        media_type = self.headers["Content-Type"]
        line = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
        if media_type == "application/json":
            line["json"], response = json.loads(body), b"{}"
        else:
            message = ExportTraceServiceRequest()
            message.ParseFromString(body)
            line["spans"], response = list(spans(message)), ExportTraceServiceResponse().SerializeToString()
        print(json.dumps(line), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
