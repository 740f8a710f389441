"""A request that never was whole, so that it has no route. It is answered, counted and logged like all others."""

from typing import Final

REFUSAL: Final = "preferences.refusal"
"""Key of a scope: the error that is the answer."""

UNKNOWN_METHOD: Final = "_OTHER"
"""As OpenTelemetry's conventions call it."""
