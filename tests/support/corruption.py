"""Everything that leads to an event, broken on purpose: the audit log's index, the log's own rows, the read model."""

import random
from collections.abc import Callable
from typing import Any

import psycopg

TABLES = ("audit_classes", "audit_entries", "preferences_events", "current_preferences", "person_keys", "followers")


class Corruption:
    """Breaks a database in one way or several, and mends it again. What would hinder a superuser with a grudge is dropped first."""

    def __init__(self, url: str, seed: int) -> None:
        self.random = random.Random(seed)
        self._connection = psycopg.connect(url, autocommit=True)
        run = self._connection.execute
        run("ALTER TABLE preferences_events DROP CONSTRAINT preferences_events_pkey")
        run("DROP INDEX preferences_events_notification_id_idx")
        for table in ("audit_classes", "audit_entries", "current_preferences", "person_keys"):
            run(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        for constraint in ("organization_action_channel_toggle_enabled_so_key", "whole"):
            run(f"ALTER TABLE audit_classes DROP CONSTRAINT audit_classes_{constraint}")
        # Backups are restored with the numbers that they have.
        run("ALTER TABLE audit_classes ALTER COLUMN class DROP IDENTITY")
        for table in TABLES:
            run(f"CREATE TABLE sound_{table} AS TABLE {table}")
        [(self.positions,)] = run("SELECT array_agg(notification_id) FROM preferences_events").fetchall()

    def close(self) -> None:
        self._connection.close()

    def mend(self) -> None:
        with self._connection.transaction():
            for table in TABLES:
                self._run(f"TRUNCATE {table}")
                self._run(f"INSERT INTO {table} SELECT * FROM sound_{table}")

    def strike(self) -> list[str]:
        """Break one to three things at random; their names."""
        ways: list[Callable[[], Any]] = [
            self.random_class_numbers,
            self.organizations_of_classes_swapped,
            self.class_numbers_permuted,
            self.classes_of_an_older_backup,
            self.entries_of_an_older_backup,
            self.positions_pointing_elsewhere,
            self.rows_of_entries_swapped,
            self.streams_of_entries_swapped,
            self.instants_of_entries_swapped,
            self.streams_of_events_swapped,
            self.streams_of_events_and_their_keys_swapped,
            self.states_of_events_swapped,
            self.current_preferences_swapped,
            self.progress_moved,
        ]
        chosen = self.random.sample(ways, self.random.choice([1, 1, 2, 3]))
        with self._connection.transaction():
            for way in chosen:
                way()
        return [way.__name__ for way in chosen]

    def random_class_numbers(self) -> None:
        self._run("UPDATE audit_entries SET class = (%s::int[])[1 + floor(random() * %s)] WHERE random() < %s",
                  self._classes(), len(self._classes()), self.random.choice([0.05, 0.5, 1]))  # fmt: skip

    def organizations_of_classes_swapped(self) -> None:
        self._run("UPDATE audit_classes SET organization = CASE organization WHEN 'org_math' THEN 'org_chess' ELSE 'org_math' END "
                  "WHERE random() < %s", self.random.choice([0.1, 1]))  # fmt: skip

    def class_numbers_permuted(self) -> None:
        classes = self._classes()
        shuffled = self.random.sample(classes, len(classes))
        self._run("UPDATE audit_classes c SET class = new FROM unnest(%s::int[], %s::int[]) AS n (old, new) WHERE c.class = old",
                  classes, shuffled)  # fmt: skip

    def classes_of_an_older_backup(self) -> None:
        """Those of some time ago; and since then numbers were given again, in another order."""
        classes = self._classes()
        lost = classes[self.random.randrange(len(classes)) :]
        self._run("UPDATE audit_classes c SET class = new FROM unnest(%s::int[], %s::int[]) AS n (old, new) WHERE c.class = old",
                  lost, self.random.sample(lost, len(lost)))  # fmt: skip

    def entries_of_an_older_backup(self) -> None:
        self._run("DELETE FROM audit_entries WHERE position > %s", self.random.choice(self.positions))

    def positions_pointing_elsewhere(self) -> None:
        self._run("UPDATE audit_entries SET position = (%s::bigint[])[1 + floor(random() * %s)] WHERE random() < %s",
                  self.positions, len(self.positions), self.random.choice([0.02, 0.3]))  # fmt: skip

    def rows_of_entries_swapped(self) -> None:
        self._swap("audit_entries", "position", "class", "originator_id")

    def streams_of_entries_swapped(self) -> None:
        self._swap("audit_entries", "position", "originator_id")

    def instants_of_entries_swapped(self) -> None:
        self._swap("audit_entries", "position", "occurred_at")

    def streams_of_events_swapped(self) -> None:
        self._swap("preferences_events", "notification_id", "originator_id", "originator_version")

    def streams_of_events_and_their_keys_swapped(self) -> None:
        """Two whole streams, so that what is sealed opens."""
        one, other = self.random.sample(
            [row[0] for row in self._run("SELECT originator_id FROM person_keys").fetchall()], 2
        )
        for table in ("preferences_events", "person_keys"):
            self._run(f"UPDATE {table} SET originator_id = CASE originator_id WHEN %s THEN %s::uuid ELSE %s END "
                      "WHERE originator_id IN (%s, %s)", one, other, one, one, other)  # fmt: skip

    def states_of_events_swapped(self) -> None:
        self._swap("preferences_events", "notification_id", "state", "sealed_actor", "topic")

    def current_preferences_swapped(self) -> None:
        self._swap("current_preferences", "originator_id", "version", "choices", "position")

    def progress_moved(self) -> None:
        self._run(
            "UPDATE followers SET position = %s WHERE name = 'audit-index'", self.random.choice([0, *self.positions])
        )

    def _swap(self, table: str, key: str, *columns: str) -> None:
        """What these columns hold, between two rows, several times."""
        for _ in range(self.random.choice([1, 10])):
            found = self._run(
                f"SELECT {key}, {', '.join(f'{column}::text' for column in columns)} FROM {table} ORDER BY random() LIMIT 2"
            ).fetchall()
            for (at, *_old), (_, *new) in (found, found[::-1]):
                setting = ", ".join(f"{column} = %s" for column in columns)
                self._run(f"UPDATE {table} SET {setting} WHERE {key} = %s", *new, at)

    def _classes(self) -> list[int]:
        return [number for (number,) in self._run("SELECT class FROM audit_classes ORDER BY class").fetchall()]

    def _run(self, statement: str, *parameters: Any) -> Any:
        return self._connection.execute(statement, parameters)
