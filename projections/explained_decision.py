"""The event that decided: an explanation finds it by folding the events that the log had at that position."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, NamedTuple, TypeVar

from domain.catalogue import Catalogue, Toggle, Words, path
from domain.continued_log import Continuation, loss_of
from domain.decision import Decision, Reason, decide
from domain.events import CataloguePublished, NotificationToggled, PreferencesEvent
from domain.published_catalogues import PublishedCatalogues, catalogue_of

Of = TypeVar("Of", covariant=True)


class At(NamedTuple, Generic[Of]):
    """An event at its position in the log."""

    position: int
    event: Of


@dataclass(frozen=True, slots=True)
class DecisionBasis:
    """One user's stream and the catalogue's stream, each in its order. `end` is the end of the log when they were read. `continuations`
    are the points at which the log was continued on another server.
    """

    end: int
    events: Sequence[At[PreferencesEvent]]
    catalogues: Sequence[At[CataloguePublished]]
    continuations: Sequence[Continuation] = ()


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """The decision as of `position`. `version` is that of the user's stream there, `last` the position of its last event, or None if it
    had none. `decided_by` is the recorded choice, or else the `catalogue` that was applied. During a rollout that may be an earlier
    catalogue than the one `in_force`. `words` are what the user was told: by the catalogue that was shown when the choice was made, or by
    the one that was applied. None if it had no words, or was never published.

    `lost`: the continuation at which the events at `position` were lost, or None. Then the explanation uses what is left of the log,
    which ends at `previous_end`.
    """

    decision: Decision
    position: int
    version: int
    last: int | None
    catalogue: At[CataloguePublished]
    in_force: At[CataloguePublished]
    decided_by: At[NotificationToggled] | At[CataloguePublished]
    words: Words | None
    lost: Continuation | None = None


class CannotExplain(Exception):
    """One sentence on why there is no such decision."""


def moment(evidence: DecisionBasis, *, position: int | None, version: int | None) -> int:
    """The position as of which to explain: the one given; else the last one at which the user's stream had this `version`; else the end
    of the log. Raises `CannotExplain` if the log has not reached it.
    """
    if position is not None:
        if position > evidence.end:
            raise CannotExplain(f"the log ends at position {evidence.end}")
        return position
    if version is None:
        return evidence.end
    if version > len(evidence.events):
        raise CannotExplain(f"the user's stream ends at version {len(evidence.events)}")
    following = evidence.events[version:]
    return following[0].position - 1 if following else evidence.end


def explain(
    evidence: DecisionBasis, channel: str, toggle: str, position: int, catalogue_version: int | None = None
) -> ExplainedDecision:
    """The decision as of a position of the log, with the catalogue of this version, or by default the one in force then.

    Raises `CannotExplain` if there was nothing to decide.
    """
    in_force = _in_force(evidence.catalogues, position)
    catalogue = in_force if catalogue_version is None else _published(evidence.catalogues, catalogue_version)
    asked = _toggle(catalogue_of(catalogue.event), channel, toggle)
    choice: At[NotificationToggled] | None = None
    version, last = 0, None
    for version, (last, event) in enumerate(takewhile(lambda one: one.position <= position, evidence.events), 1):
        if event.originator_version != version:
            raise CannotExplain(
                f"the user's stream has no version {version}: `preferences audit verify` says what happened"
            )
        if isinstance(event, NotificationToggled) and event.path == path(channel, toggle):
            choice = At(last, event)
    decision = decide(asked, choice.event.enabled if choice else None)
    decided_by = choice if choice and decision.reason is Reason.CHOICE else catalogue
    published = PublishedCatalogues([one.event for one in evidence.catalogues])
    words = published.words(decided_by.event.catalogue_version, channel, toggle)
    lost = loss_of(position, evidence.continuations)
    return ExplainedDecision(decision, position, version, last, catalogue, in_force, decided_by, words, lost)


def contradictions(
    explained: ExplainedDecision,
    *,
    allowed: bool | None = None,
    reason: Reason | None = None,
    version: int | None = None,
) -> list[str]:
    """The parts of a claimed decision that the log contradicts, one phrase each. A part that is None isn't claimed. The claim always
    includes that the catalogue could have been applied.

    If the log lost the events at the position, the claim is not wrong, but it can't be verified any more. Only if the user's stream still
    has the claimed version is it certain that no event of this user was lost.
    """
    decision, lost = explained.decision, explained.lost
    if lost is not None and version != explained.version:
        where = f"position {lost.position} on {lost.at:%Y-%m-%d at %H:%M:%S} UTC"
        what = f"the events after position {lost.previous_end} were lost in a failover, before the log was continued at {where}"
        return [f"it can't be verified: {what}"]
    found = []
    used, in_force = explained.catalogue, explained.in_force
    # A release is published first and serves afterwards, so no process can have applied a later catalogue. The first catalogue counts as
    # in force before it was published.
    if used != in_force and used.position > explained.position:
        found.append(
            f"catalogue version {used.event.catalogue_version} was not published yet, "
            f"version {in_force.event.catalogue_version} was in force"
        )
    if allowed is not None and allowed is not decision.allowed:
        found.append(f"it was {'allowed' if decision.allowed else 'not allowed'}")
    if reason is not None and reason is not decision.reason:
        found.append(f"the reason was {decision.reason.value}, not {reason.value}")
    if version is not None and version != explained.version:
        found.append(f"the user's stream stood at version {explained.version}, not {version}")
    return found


def _in_force(catalogues: Sequence[At[CataloguePublished]], position: int) -> At[CataloguePublished]:
    """The catalogue published last by this position. Before the first publication, the first one counts."""
    if not catalogues:
        raise CannotExplain("no catalogue is published: run `preferences migrate`")
    return [*catalogues[:1], *(one for one in catalogues[1:] if one.position <= position)][-1]


def _published(catalogues: Sequence[At[CataloguePublished]], version: int) -> At[CataloguePublished]:
    for one in catalogues:
        if one.event.catalogue_version == version:
            return one
    raise CannotExplain(f"catalogue version {version} was never published")


def _toggle(catalogue: Catalogue, channel: str, name: str) -> Toggle:
    toggle = catalogue.toggle(channel, name)
    if toggle is None:
        raise CannotExplain(f"catalogue version {catalogue.version} has no {path(channel, name)}")
    return toggle
