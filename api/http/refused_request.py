"""A request that never was whole, so that it has no route. It is answered, counted and logged like all others."""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from domain.errors import ServiceError

REFUSAL: Final = "preferences.refusal"
"""Key of a scope: the error that is the answer."""

UNKNOWN_METHOD: Final = "_OTHER"
"""As OpenTelemetry's conventions call it."""


class Deaf:
    """In place of a parser, when nothing that still comes has a meaning."""

    def feed_data(self, data: bytes | memoryview) -> None:
        pass


def refused(protocol: HttpToolsProtocol, error: ServiceError) -> RequestResponseCycle:
    """The last request of this connection, whose answer is `error`."""
    parts = {"method": UNKNOWN_METHOD, "path": "", "raw_path": b"", "query_string": b"", REFUSAL: error}
    cast("dict[str, Any]", protocol.scope).update(parts)
    return RequestResponseCycle(
        scope=protocol.scope,
        transport=protocol.transport,
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=protocol.access_log,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=False,
        on_response=protocol.on_response_complete,
    )
