"""A request that was never complete, so it has no route. It is answered, counted and logged like all others."""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from domain.errors import ServiceError

REFUSAL: Final = "preferences.refusal"
"""The key in an ASGI scope under which the error is stored that becomes the answer."""

UNKNOWN_METHOD: Final = "_OTHER"
"""The name that OpenTelemetry's conventions use."""


class Deaf:
    """Replaces the parser when all further bytes must be ignored."""

    def feed_data(self, data: bytes | memoryview) -> None:
        pass


def refused(protocol: HttpToolsProtocol, error: ServiceError) -> RequestResponseCycle:
    """The last request of this connection. Its answer is `error`."""
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
