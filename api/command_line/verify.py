"""`preferences audit verify`: checks that nothing was altered."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final

import typer

from api import bootstrap
from api.command_line.console import counted, output
from api.command_line.progress import bars
from application.evidence.verdict import Verdict

SHOWN: Final = 20
"""Faults that are listed, at most; and findings, at most."""


def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="Verify against the checkpoints in this file instead of CHECKPOINT_FILE.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="Trust this public key instead of our own. Repeat for several.")
    ] = None,
    log_only: Annotated[
        bool,
        typer.Option("--log-only", help="Verify the log alone, e.g. with a database role that may read only the log."),
    ] = False,
    database_only: Annotated[
        bool, typer.Option("--database-only", help="Accept that there are no checkpoints outside of the database.")
    ] = False,
) -> None:
    """Compute all hashes again from the events, and compare them with the tree and every signed checkpoint.

    Also compare what is made from the log: the audit index, as far as it has got,
    the current preferences, and the keys. Each part is compared with the log as
    of a moment of its own, so the service doesn't have to wait. With
    READ_DATABASE_URL, all of this is read on the standby.

    Exit code 1 if anything differs. The first position that was altered, added,
    reordered or is missing is named. Exit code 1, too, if only the database has
    checkpoints: an older copy of the whole database would agree with itself.
    """
    settings = bootstrap.settings()
    outside = checkpoint or settings.published_checkpoints
    tasks = ["verifying the log", *(() if log_only else ("verifying what is made of it",))]
    with (
        bootstrap.databases.migrated_database(settings) as url,
        bars(*tasks) as (of_log, *beside),
        ThreadPoolExecutor(1) as thread,
    ):
        reading = bootstrap.standby.caught_up(settings, url) or url
        others = [thread.submit(bootstrap.sweep.check_beside, reading, progress) for progress in beside]
        verdict = bootstrap.evidence.verify(settings, url, key or (), checkpoint, of_log)
        findings = [finding for other in others for finding in other.result()]
    unremembered = verdict.lacks(str(outside))
    _show(verdict, outside if unremembered else None)
    for finding in findings[:SHOWN]:
        output.print(f"  {finding.sentence}", markup=False, soft_wrap=True)
    if len(findings) > SHOWN:
        output.print(f"  and {len(findings) - SHOWN} more findings")
    if not log_only and not findings:
        output.print("Audit index, current preferences and keys are what the log says.")
    if verdict.good and not findings and (database_only or not unremembered):
        output.print("Nothing was altered.")
        return
    if not verdict.good or (unremembered and not database_only):
        output.print(_conclusion(verdict, unremembered=unremembered))
    if findings:
        output.print("What is made of the log isn't what the log says.")
    raise typer.Exit(1)


def _conclusion(verdict: Verdict, *, unremembered: bool) -> str:
    if verdict.altered:
        return "The log was altered."
    if verdict.misfit and not unremembered:
        return "The settings are those of another log or key, so what was signed could not be held against the log."
    return "Signed events were lost." if verdict.lost else "What is kept beside the log as evidence isn't whole."


def _show(verdict: Verdict, without: Path | None) -> None:
    """`without`: the file that should have had checkpoints, if it has none."""
    output.print(f"{counted(verdict.events, 'event')}, up to position {verdict.position}")
    if (covered := verdict.covered) is not None:
        output.print(
            f"{covered.size} of them, up to position {covered.position}, are as signed on "
            f"{covered.time:%Y-%m-%d %H:%M:%S} UTC ({counted(verdict.checkpoints, 'checkpoint')} in agreement)"
        )
        for place, count in sorted(verdict.agreeing.items()):
            output.print(f"  {count} in {place}", markup=False, soft_wrap=True)
    if verdict.uncovered:
        output.print(f"{counted(verdict.uncovered, 'event')} not covered by a checkpoint yet")
    for fault in verdict.faults[:SHOWN]:
        output.print(f"  {fault.sentence}", markup=False, soft_wrap=True)
    if without is not None:
        output.print(f"  {_unremembered(without)}", markup=False, soft_wrap=True)


def _unremembered(outside: Path) -> str:
    # The whole path, because the default of the setting depends on the folder in which the command runs.
    lacking = "has none" if outside.exists() else "isn't there"
    return f"no checkpoint outside of the database: {outside.absolute()} {lacking}, so a restored older copy could not be told"
