"""The tests' databases. `make test LOG_PARTITIONS=1 PYTEST_ARGS=--no-cov` gives each a log in two partitions, which no test may notice."""

import os
from typing import Final

import pytest

from infrastructure.log.partitions import add_partition
from infrastructure.postgres import migrations

PARTITIONED: Final = bool(os.environ.get("LOG_PARTITIONS"))

one_table = pytest.mark.skipif(PARTITIONED, reason="it alters the table of a log that is not partitioned")


def migrated(url: str) -> None:
    migrations.migrate(url)
    if PARTITIONED:
        add_partition(url, ahead=3)
