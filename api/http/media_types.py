"""Chooses the media type of an answer by the `Accept` header."""

from collections.abc import Sequence

from starlette.types import Scope


def wanted(scope: Scope, offered: Sequence[str]) -> str:
    """The media type of `offered` that `Accept` names with the highest weight. If it names none of them, the first one: RFC 9110,
    section 12.5.1, allows an answer in another form instead of an error."""
    weights = dict.fromkeys(offered, 0.0)
    for name, value in scope["headers"]:
        if name == b"accept":
            for part in value.decode("latin-1").split(","):
                media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
                if media_type in weights:
                    weights[media_type] = max(weights[media_type], _weight(parameters))
    return max(offered, key=lambda media_type: weights[media_type])


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
