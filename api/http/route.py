"""Routes of the framework. Each route that answers GET also answers HEAD."""

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send
from typing_extensions import override


class Route(APIRoute):
    """HEAD runs the endpoint of GET, and the server sends only the head of the answer (RFC 9110, section 9.3.2).

    HEAD isn't in `methods`, because each of these becomes an operation of its own in the description.
    """

    @property
    def answered(self) -> frozenset[str]:
        """All methods that this route answers, including HEAD."""
        methods = frozenset(self.methods or ())
        return methods | {"HEAD"} if "GET" in methods else methods

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), found

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app(scope, receive, send) if self._is_head(scope) else super().handle(scope, receive, send))

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "HEAD" in self.answered
