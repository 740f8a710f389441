"""A collector: it takes spans over OTLP/HTTP, as a real one does, and keeps them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.eventually import until


@dataclass(frozen=True)
class Sent:
    """A span. Ids are hexadecimal; the parent's is empty if there is none. `links` are `traceparent`s without version and flags."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: list[str]
    attributes: dict[str, Any]
    failed: bool

    @property
    def place(self) -> str:
        return f"{self.trace}-{self.id}"


@dataclass
class Collector:
    url: str = ""
    spans: list[Sent] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def wait_for(self, *names: str) -> dict[str, Sent]:
        """The spans of these names, of each the first one, as soon as they have come."""

        def found() -> dict[str, Sent]:
            return {span.name: span for span in reversed(self.spans)}

        until(lambda: found().keys() >= {*names})
        return found()

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Sent(
                            service=resource["service.name"],
                            name=span.name,
                            kind=span.kind,
                            trace=span.trace_id.hex(),
                            id=span.span_id.hex(),
                            parent=span.parent_span_id.hex(),
                            links=[f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links],
                            attributes=values(span.attributes),
                            failed=span.status.code == span.status.STATUS_CODE_ERROR,
                        )
                    )


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            wanted = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if wanted:
                collector.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if wanted else 415)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        serving.start()
        yield collector
        server.shutdown()
        serving.join()
