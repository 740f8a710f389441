"""Makes a made-up year happen: by the rules of the domain, through the log, in order, at the times of its acts."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from application.audit.reads import AuditReads, Readings
from application.demo.acts import Act, Choose, Erase, Look, Publish, Sign
from application.erasure import Erasure, Erasures
from application.identity import OrganizationReader
from application.preferences.draft import Draft
from application.preferences.state import Change
from application.preferences.store import PreferencesStore
from application.progress import Progress
from application.publishing import CatalogueLog, Publishing
from domain.catalogue import Catalogue
from domain.preferences import stream_id
from domain.provenance import Actor, Provenance, Source
from projections.current_preferences import CurrentPreferences

AT_ONCE: Final = 200
"""Users whose choices are written together."""

_WITH_A_SESSION: Final = frozenset({Source.DASHBOARD, Source.API})


class DemoRefused(Exception):
    """One sentence on why a database is not filled."""


class Filling:
    """`new_id` makes a ULID of an instant, `sign` signs a checkpoint of the log as of an instant. The log must be empty."""

    def __init__(
        self,
        store: PreferencesStore,
        catalogues: CatalogueLog,
        erasures: Erasures,
        reads: AuditReads,
        new_id: Callable[[datetime], str],
        new_key: Callable[[], bytes],
        sign: Callable[[datetime], None],
    ) -> None:
        self._store = store
        self._catalogues = catalogues
        self._erasures = erasures
        self._reads = reads
        self._new_id = new_id
        self._new_key = new_key
        self._sign = sign
        self._rows: dict[UUID, CurrentPreferences] = {}
        self._drafts: dict[UUID, Draft] = {}
        self._catalogue = Catalogue(1, ())
        self.events = 0

    async def run(self, acts: Sequence[Act], progress: Progress) -> None:
        """Let the acts happen, which are in the order of their instants. Events in the log are in that order, too."""
        for number, act in enumerate(acts):
            if isinstance(act, Choose):
                stream = stream_id(act.organization, act.user)
                # Each stream is written as one piece. A second act of a user would come before what others did in between.
                if stream in self._drafts or len(self._drafts) == AT_ONCE:
                    await self._write()
                    progress(number, len(acts))
                self._decide(stream, act)
            else:
                await self._write()
                await self._other(act)
        await self._write()
        progress(len(acts), len(acts))

    async def _other(self, act: Erase | Look | Publish | Sign) -> None:
        ids = iter(lambda: self._new_id(act.at), None)
        match act:
            case Publish():
                await Publishing(self._catalogues, ids, lambda: act.at).publish(act.catalogue)
                self._catalogue = act.catalogue
                self.events += 1
            case Erase():
                erased = await Erasure(self._erasures, self._catalogue, ids, lambda: act.at).erase(
                    act.organization, act.user
                )
                self.events += erased.destroyed
            case Look():
                stream = stream_id(act.organization, act.officer)
                reader = OrganizationReader(act.organization, f"user:{act.officer}", stream)
                readings = Readings(self._reads, ids, lambda: act.at)
                await readings.record(reader, act.action, act.asked, count=act.shown, request_id=next(ids))
            case _:
                self._sign(act.at)

    def _decide(self, stream: UUID, act: Choose) -> None:
        actor: Actor = {"user": act.user}
        if act.source in _WITH_A_SESSION:
            actor["session"] = f"sess_{self._new_id(act.at)}"
        if act.support is not None:
            actor["impersonator"] = act.support
        provenance = Provenance(
            actor, act.organization, act.source, self._new_id(act.at), act.at, self._catalogue.version
        )
        draft = Draft(stream, self._rows.get(stream))
        draft.decide(Change(stream, act.requested, provenance), iter(lambda: self._new_id(act.at), None))
        # To choose again what is chosen records nothing.
        if draft.events:
            self._drafts[stream] = draft

    async def _write(self) -> None:
        appends = [draft.to_append(self._new_key) for draft in self._drafts.values()]
        if not appends:
            return
        recorded = await self._store.append(appends)
        if len(recorded) < len(appends):
            raise DemoRefused("another process writes to this database: stop it first")
        for append in appends:
            self._rows[append.row.stream] = append.row
            self.events += len(append.events)
        self._drafts = {}
