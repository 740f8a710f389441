"""Who does what in a made-up year, and when. The same seed makes the same year."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from application.audit.log import EXPORT, READ
from application.audit.summary import SUMMARY
from application.audit.users import READ_HISTORY
from application.demo.acts import Act, Choose, Erase, Look, Publish, Sign
from application.demo.people import IMPORTER, MAIN, Person, people
from domain.catalogue import Catalogue
from domain.preferences import stream_id
from domain.provenance import Source

LENGTH: Final = timedelta(days=365)
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)

IMPORTED: Final = 41
NEW_CATALOGUE: Final = 128
INCIDENT: Final = 243
"""Days after the beginning: the choices of one organization are imported; the newest catalogue is published; by mistake, everybody gets the
same product update three times in a night.
"""

DIGEST: Final = "email.weekly_usage_digest"
NEWS: Final = "email.product_updates"
OFFICERS: Final = {MAIN: "user_officer_iris", IMPORTER: "user_officer_paul"}
SUPPORT: Final = ("user_staff_mira", "user_staff_tom")
ERASURES: Final = 9
UNDECIDED: Final = 0.18
"""The share of users who never choose anything, unless they get the mails of the incident."""

# In a hundred choices of each day.
_SOURCES: Final = {Source.DASHBOARD: 88, Source.API: 6, Source.ONE_CLICK: 4, Source.LINK: 2}
_AFTER_THE_INCIDENT: Final = {Source.ONE_CLICK: 62, Source.LINK: 13, Source.DASHBOARD: 25}
# Of a hundred choices, how many fall into each hour in UTC: the users work in Europe and in America.
_HOURS: Final = (1, 1, 0, 0, 0, 1, 2, 4, 7, 9, 8, 7, 5, 7, 9, 9, 8, 7, 5, 4, 2, 2, 1, 1)


def former(catalogue: Catalogue) -> Catalogue | None:
    """The catalogue of before: the one version less, and without the newest toggle. None if `catalogue` is the first one."""
    if catalogue.version == 1:
        return None
    channels = tuple(
        replace(
            channel, toggles=tuple(toggle for toggle in channel.toggles if f"{channel.name}.{toggle.name}" != DIGEST)
        )
        for channel in catalogue.channels
    )
    return Catalogue(catalogue.version - 1, channels)


def year(chance: Random, now: datetime, users: int, catalogue: Catalogue) -> list[Act]:
    """All acts of the year before `now`, in their order."""
    began = (now - LENGTH).replace(hour=0, minute=0, second=0, microsecond=0)
    before = former(catalogue)
    acts: list[Act] = [Publish(began, before or catalogue)]
    if before is not None:
        acts.append(Publish(began + NEW_CATALOGUE * DAY + 9 * HOUR, catalogue))
    everybody = [*people(chance, users)]
    # The user of the sign-in form stays.
    erased = {person: began + chance.uniform(70, 355) * DAY for person in chance.sample(everybody[1:], k=ERASURES)}
    for person, at in erased.items():
        acts.append(Erase(at, *person))
    for person in everybody:
        life = Life(chance, person, began, catalogue if before is None else before, catalogue)
        acts += (act for act in life.acts() if act.at < erased.get(person, now))
    acts += [Sign(began + fortnight * 14 * DAY + 2 * HOUR) for fortnight in range(1, 27)]
    acts += readings(chance, began, everybody)
    return sorted((act for act in acts if act.at < now), key=lambda act: act.at)


def readings(chance: Random, began: datetime, everybody: list[Person]) -> Iterator[Look]:
    """What the officers look at: every Monday the summary, now and then a user who has asked, and after the incident a lot."""
    incident = {"channel": "email", "toggle": "product_updates", "enabled": False}
    for organization, officer in OFFICERS.items():
        users = [person.name for person in everybody if person.organization == organization]
        if not users:
            continue
        for day in range(7 - began.weekday(), 365, 7):
            monday = began + (day + 8.5 / 24 + chance.random() / 24) * DAY
            whole_year = {
                "since": (monday - LENGTH).isoformat(),
                "until": monday.isoformat(),
                "format": "application/json",
            }
            yield Look(monday, organization, officer, SUMMARY, whole_year, day)
            if chance.random() < 0.3:
                asked = {"resource_stream": str(stream_id(organization, chance.choice(users))), "limit": 50}
                yield Look(monday + HOUR, organization, officer, READ_HISTORY, asked, chance.randint(0, 12))
        for later in (0.4, 0.6, 1.4):
            yield Look(began + (INCIDENT + later) * DAY, organization, officer, READ, {**incident, "limit": 50}, 50)
        exported = {**incident, "format": "text/csv"}
        yield Look(began + (INCIDENT + 2.4) * DAY, organization, officer, EXPORT, exported, len(users) // 5)


class Life:
    """One user in that year. `first` is the catalogue of its beginning, `last` that of its end."""

    def __init__(self, chance: Random, person: Person, began: datetime, first: Catalogue, last: Catalogue) -> None:
        self._chance = chance
        self._person = person
        self._began = began
        self._first = first
        self._last = last
        self._chosen: dict[str, bool] = {}

    def acts(self) -> Iterator[Choose]:
        """What the user chooses, in order."""
        chance, favourite = self._chance, self._person.name == "user_demo"
        joined = max(0.0, chance.uniform(-120, 360))
        moments: list[tuple[float, str]] = [(INCIDENT + self._reaction(), "incident")] if joined < INCIDENT else []
        if favourite or chance.random() > UNDECIDED:
            first = joined + chance.expovariate(1 / 6)
            days = sorted(chance.uniform(first, 365) for _ in range(14 if favourite else self._restlessness()))
            moments += [(first, "first"), *((self._at_work(day), "routine") for day in days)]
            if chance.random() < 0.3:
                moments.append((NEW_CATALOGUE + 1 + chance.expovariate(1 / 9), "digest"))
        if self._person.organization == IMPORTER and joined < IMPORTED:
            moments.append((IMPORTED + 0.4 + chance.random() / 200, "import"))
        for day, what in sorted(moments):
            if joined <= day or what == "import":
                yield from self._at(self._began + day * DAY, what)

    def _at(self, at: datetime, what: str) -> Iterator[Choose]:
        chance = self._chance
        match what:
            case "import":
                yield self._choose(at, {NEWS: chance.random() < 0.7, "email.billing_receipts": True}, Source.IMPORT)
            case "incident":
                if chance.random() < 0.3 and self._chosen.get(NEWS, True):
                    yield self._choose(at, {NEWS: False}, self._source(_AFTER_THE_INCIDENT))
                    if chance.random() < 0.34:
                        yield from self._return(at + chance.uniform(3, 40) * DAY)
            case "digest":
                yield self._choose(at, {DIGEST: True}, Source.DASHBOARD)
            case "first":
                paths = chance.sample(self._paths(at), k=chance.choice([1, 1, 2, 3]))
                yield self._choose(at, {path: self._flipped(path) for path in paths}, Source.DASHBOARD)
            case _:
                path = chance.choice(self._paths(at))
                if chance.random() < 0.03:
                    yield self._choose(at, {path: self._flipped(path)}, Source.DASHBOARD, chance.choice(SUPPORT))
                    return
                source = self._source(_SOURCES)
                # A link can only switch off.
                enabled = self._flipped(path) if source in (Source.DASHBOARD, Source.API) else False
                yield self._choose(at, {path: enabled}, source)

    def _return(self, at: datetime) -> Iterator[Choose]:
        """After the apology, some come back by themselves, and some ask for it."""
        support = self._chance.choice(SUPPORT) if self._chance.random() < 0.12 else None
        yield self._choose(at, {NEWS: True}, Source.DASHBOARD, support)

    def _choose(self, at: datetime, requested: dict[str, bool], source: Source, support: str | None = None) -> Choose:
        self._chosen |= requested
        return Choose(at, *self._person, requested, source, support)

    def _paths(self, at: datetime) -> list[str]:
        new = at >= self._began + NEW_CATALOGUE * DAY + 9 * HOUR
        return [*(self._last if new else self._first).defaults]

    def _flipped(self, path: str) -> bool:
        return not self._chosen.get(path, self._last.defaults[path])

    def _source(self, weights: dict[Source, int]) -> Source:
        return self._chance.choices([*weights], [*weights.values()])[0]

    def _restlessness(self) -> int:
        return min(int(self._chance.expovariate(1 / 3)), 25)

    def _reaction(self) -> float:
        """Days after the mistaken mails until the user reacts: most of them the next morning."""
        return 6.5 / 24 + self._chance.expovariate(1 / 0.5)

    def _at_work(self, day: float) -> float:
        """The same day at an hour when people work; most of those at a weekend on the Monday after it."""
        whole = int(day)
        weekday = (self._began + whole * DAY).weekday()
        if weekday >= 5 and self._chance.random() < 0.75:
            whole += 7 - weekday
        return whole + (self._chance.choices(range(24), _HOURS)[0] + self._chance.random()) / 24
