"""`preferences catalogue`, and what `migrate` publishes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from domain.catalogue import CATALOGUE, Catalogue, Channel, Toggle, Words
from domain.published_catalogues import STREAM
from infrastructure.log.event_codec import encode
from infrastructure.postgres import migrations
from tests.support.catalogues import choose, publish, published
from tests.support.command import Command, one_sentence
from tests.support.former_schema import migrate_up_to

EMAIL = CATALOGUE.channels[0]
BEFORE = CATALOGUE.version - 1
NEWEST = max(migration.number for migration in migrations.available())


def earlier(*changed: Toggle, without: tuple[str, ...] = (), version: int = BEFORE) -> Catalogue:
    """A catalogue that differs from ours in these toggles of `email`, and lacks those."""
    others = {toggle.name: toggle for toggle in changed}
    kept = (others.pop(toggle.name, toggle) for toggle in EMAIL.toggles if toggle.name not in without)
    email = Channel("email", (*kept, *others.values()), EMAIL.words)
    return Catalogue(version, (email, *CATALOGUE.channels[1:]))


def toggle(name: str) -> Toggle:
    found = EMAIL.toggle(name)
    assert found is not None
    return found


RECEIPTS = toggle("billing_receipts")
ADDED = f'added: default on, "{RECEIPTS.title}" ({RECEIPTS.description})'


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT originator_version FROM preferences_events WHERE originator_id = %s ORDER BY notification_id",
            [STREAM],
        )
        return [version for (version,) in found]


def test_migrate_publishes_the_catalogue_once(inside, database_url: str) -> None:
    first = inside("migrate")
    assert first.returncode == 0
    assert f"published catalogue version {CATALOGUE.version}" in first.stderr
    again = inside("migrate")
    assert (again.returncode, again.stderr.strip()) == (0, "The schema is up to date.")
    assert stored(database_url) == [CATALOGUE.version]


def test_a_catalogue_that_was_published_with_other_content_is_refused(inside, database_url: str) -> None:
    asyncio.run(publish(database_url, earlier(version=CATALOGUE.version, without=("billing_receipts",))))
    for command in (["migrate"], ["catalogue", "diff"]):
        assert "with other content" in one_sentence(inside(*command))
    assert stored(database_url) == [CATALOGUE.version]


def test_an_older_release_publishes_nothing(inside, database_url: str) -> None:
    asyncio.run(publish(database_url, earlier(version=CATALOGUE.version + 1)))
    for command in (["migrate"], ["catalogue", "diff"]):
        assert f"this release has version {CATALOGUE.version}" in one_sentence(inside(*command))


def test_the_published_catalogues_are_listed_newest_first_with_what_they_changed(inside, database_url: str) -> None:
    assert inside("catalogue", "list").stderr.strip() == "No catalogue is published: run `preferences migrate`."
    asyncio.run(
        publish(database_url, earlier(without=("billing_receipts",)), lambda: datetime(2026, 3, 3, 12, tzinfo=UTC))
    )
    inside("migrate")
    listed = inside("catalogue", "list")
    assert listed.returncode == 0
    rows = [line.split() for line in listed.stdout.splitlines() if line.strip(" ─━")][1:]
    assert rows[0][:1] == [str(CATALOGUE.version)]
    assert rows[0][3:7] == ["email.billing_receipts", "added:", "default", "on,"]
    assert rows[1][:4] == [str(BEFORE), "2026-03-03", "12:00:00", "email"]
    assert ["email.product_updates", "added:", "default", "on,"] in [row[:4] for row in rows]
    assert ["email.security_alerts", "added:", "always", "sent,"] in [row[:4] for row in rows]
    assert toggle("billing_receipts").description in listed.stdout


def test_a_version_that_changed_nothing_is_listed_too(inside, database_url: str) -> None:
    asyncio.run(publish(database_url, earlier()))
    inside("migrate")
    assert "nothing" in inside("catalogue", "list").stdout


def test_the_dry_run_counts_whose_answer_would_change_and_publishes_nothing(inside, database_url: str) -> None:
    was_on = replace(toggle("weekly_usage_digest"), default=True)
    was_off = replace(toggle("product_updates"), default=False)
    asyncio.run(publish(database_url, earlier(was_on, was_off, Toggle("notices", True, mandatory=True))))
    choose(
        database_url,
        '{"email.weekly_usage_digest": true, "email.product_updates": true}',
        '{"email.weekly_usage_digest": false}',
        '{"email.product_updates": true}',
        '{"email.delivery_alerts": true}',
    )
    result = inside("catalogue", "diff")
    assert result.returncode == 0
    said = result.stdout.splitlines()
    for line in (
        "  email.product_updates  default off -> default on; in the answer of 2 users without a choice of their own",
        "  email.weekly_usage_digest  default on -> default off; in the answer of 2 users without a choice of their own",
        "  email.notices  removed; in no user's answer",
        "Users who ever chose something: 4. Resolved answers that would change: 3.",
        "Nothing was published.",
    ):
        assert line in said
    assert "Users who never chose are not known here" in result.stdout
    assert stored(database_url) == [BEFORE]


def test_other_words_are_a_change_and_in_nobodys_answer(inside, database_url: str) -> None:
    # Given a catalogue that differs from ours in one description, and a user without a choice
    words = Words("Billing receipts", "What you have paid.")
    asyncio.run(publish(database_url, earlier(replace(RECEIPTS, words=words))))
    choose(database_url, "{}")
    # when it is asked what would change, then the words are, and nobody's answer is.
    changed = f'description "What you have paid." -> "{RECEIPTS.description}"'
    said = inside("catalogue", "diff").stdout
    assert f"  email.billing_receipts  {changed}; in no user's answer\n" in said
    assert "Resolved answers that would change: 0." in said
    # The list has them, too, once they are published.
    assert inside("migrate").returncode == 0
    assert changed in inside("catalogue", "list").stdout


def test_other_words_need_a_version_of_their_own(inside, database_url: str) -> None:
    without_words = Channel("email", tuple(replace(toggle, words=None) for toggle in EMAIL.toggles))
    asyncio.run(publish(database_url, Catalogue(CATALOGUE.version, (without_words,))))
    assert "with other content" in one_sentence(inside("migrate"))
    assert stored(database_url) == [CATALOGUE.version]


def test_a_new_toggle_changes_everybodys_answer(inside, database_url: str) -> None:
    asyncio.run(publish(database_url, earlier(without=("billing_receipts",))))
    choose(database_url, '{"email.billing_receipts": true}', "{}")
    said = inside("catalogue", "diff").stdout
    assert f"email.billing_receipts  {ADDED}; in every user's answer" in said
    assert "Resolved answers that would change: 2." in said


@pytest.mark.parametrize("former", [1, NEWEST - 1])
def test_the_dry_run_comes_before_the_migrations(former: int, empty_database: str, inside) -> None:
    # Given the database of an earlier release, with an earlier catalogue
    migrate_up_to(empty_database, former)
    with psycopg.connect(empty_database) as connection:
        event = encode(published(earlier(without=("billing_receipts",))))
        connection.execute(
            "INSERT INTO preferences_events (originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
            [event.originator_id, event.originator_version, event.topic, event.state],
        )
        applied = connection.execute("SELECT * FROM schema_migrations").fetchall()
    # when this release is asked what it would change, then it says so,
    said = inside("catalogue", "diff", database_url=empty_database)
    assert (said.returncode, said.stderr) == (0, "")
    assert f"email.billing_receipts  {ADDED}; in every user's answer" in said.stdout
    assert said.stdout.endswith("Nothing was published.\n")
    # and everything is as it was.
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT * FROM schema_migrations").fetchall() == applied
    assert stored(empty_database) == [BEFORE]


def test_the_dry_run_comes_before_the_first_migration(empty_database: str, inside) -> None:
    said = inside("catalogue", "diff", database_url=empty_database)
    assert (said.returncode, said.stderr) == (0, "")
    assert f"Version {CATALOGUE.version} would be the first one published here" in said.stdout
    with psycopg.connect(empty_database) as connection:
        tables = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == []


def test_the_dry_run_refuses_a_database_that_could_not_be_migrated(database_url: str, inside) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_migrations SET checksum = 'edited' WHERE number = 1")
    assert "was edited after" in one_sentence(inside("catalogue", "diff"))


def test_the_dry_run_publishes_nothing_in_the_embedded_database_either(preferences: Command) -> None:
    said = preferences("catalogue", "diff", database_url=None)
    assert said.returncode == 0
    assert "would be the first one published here" in said.stdout
    assert said.stdout == preferences("catalogue", "diff", database_url=None).stdout


def test_the_first_catalogue_changes_nobodys_answer(inside, database_url: str) -> None:
    said = inside("catalogue", "diff")
    assert said.returncode == 0
    assert "no user's answer would change" in said.stdout
    assert stored(database_url) == []


def test_what_is_published_is_no_difference(inside, database_url: str) -> None:
    inside("migrate")
    said = inside("catalogue", "diff").stdout.strip()
    assert said == f"Nothing would change: version {CATALOGUE.version} is published."


def test_a_new_version_that_changes_nothing_is_told_as_one(inside, database_url: str) -> None:
    asyncio.run(publish(database_url, earlier()))
    said = inside("catalogue", "diff").stdout
    assert f"Version {CATALOGUE.version} would follow version {BEFORE}" in said
    assert "Resolved answers that would change: 0." in said


def test_the_embedded_database_has_its_catalogue_published_where_it_is_used(preferences: Command) -> None:
    listed = preferences("catalogue", "list", database_url=None)
    assert listed.returncode == 0
    assert "email.product_updates" in listed.stdout


def test_a_rebuild_passes_over_the_catalogues(inside, database_url: str) -> None:
    inside("migrate")
    rebuilt = inside("rebuild")
    assert rebuilt.returncode == 0
    assert "0 events, 0 users" in rebuilt.stdout
    assert stored(database_url) == [CATALOGUE.version]
