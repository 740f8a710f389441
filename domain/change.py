"""The change that a caller asks for, checked against the catalogue."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

from domain.catalogue import Catalogue, Choices, path
from domain.errors import ImmutableNotificationKey, RefusedChange, UnknownNotificationKey, ValidationFailed


class Fault(NamedTuple):
    kind: type[RefusedChange]
    field: str
    phrase: str


# Several faults give one error: the first of these kinds that occurs sets its code, and `details` lists every fault.
PRECEDENCE = (UnknownNotificationKey, ImmutableNotificationKey, ValidationFailed)


def requested_choices(document: object, catalogue: Catalogue) -> Choices:
    """The choices that a parsed JSON document asks for, by path.

    Raises a `RefusedChange` that lists every fault of the document. If there is one fault, no choice of the document is applied.
    """
    choices: dict[str, bool] = {}
    faults = list(_read(document, catalogue, choices))
    if faults:
        refuse(faults)
    return choices


def refuse(faults: Sequence[Fault]) -> NoReturn:
    kind = next(kind for kind in PRECEDENCE if any(fault.kind is kind for fault in faults))
    raise kind(details={fault.field: fault.phrase for fault in faults})


def _read(document: object, catalogue: Catalogue, choices: dict[str, bool]) -> Iterator[Fault]:
    if not isinstance(document, dict):
        yield Fault(ValidationFailed, "body", "must be an object")
        return
    for channel_name, toggles in document.items():
        channel = catalogue.channel(channel_name)
        if channel is None:
            yield Fault(UnknownNotificationKey, channel_name, "unknown channel")
        elif not isinstance(toggles, dict):
            yield Fault(ValidationFailed, channel_name, "must be an object")
        else:
            for toggle_name, enabled in toggles.items():
                field = path(channel_name, toggle_name)
                toggle = channel.toggle(toggle_name)
                if toggle is None:
                    yield Fault(UnknownNotificationKey, field, "unknown toggle")
                elif toggle.mandatory:
                    yield Fault(ImmutableNotificationKey, field, "cannot be changed")
                elif not isinstance(enabled, bool):
                    yield Fault(ValidationFailed, field, "must be a boolean")
                else:
                    choices[field] = enabled
