"""Which of the forms that an answer comes in is asked for."""

from collections.abc import Sequence

from starlette.types import Scope


def wanted(scope: Scope, offered: Sequence[str]) -> str:
    """The one of `offered` that `Accept` names with the highest weight; the first where it names none (RFC 9110,
    section 12.5.1, where it is allowed to answer in another form rather than not at all)."""
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
