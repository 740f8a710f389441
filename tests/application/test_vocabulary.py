"""What can be asked for by its name: what is in the log, and nothing that no catalogue ever had."""

import pytest

from application.feed.feed import Selection, select
from application.vocabulary import validate_with_history
from domain.errors import ValidationFailed
from domain.published_catalogues import PublishedCatalogues
from tests.support.catalogues import catalogue, published

NOW = catalogue(3, offers=True, alerts=None)
BEFORE = PublishedCatalogues([published(catalogue(1, news=True)), published(catalogue(2, alerts=True, always=None))])


class Log:
    """Counts how often it is asked for the catalogues of before."""

    asked = 0

    async def published(self) -> PublishedCatalogues:
        self.asked += 1
        return BEFORE


def asking(kind: str | None, channel: str | None, toggle: str | None):
    return lambda catalogue: select(catalogue, None, kind, channel, toggle)


@pytest.mark.parametrize(("toggle", "asked"), [(None, 0), ("offers", 0), ("news", 1), ("alerts", 1)])
async def test_earlier_catalogues_are_looked_up_only_for_what_the_one_in_force_does_not_know(
    toggle: str | None, asked: int
) -> None:
    log = Log()
    selection = await validate_with_history(NOW, log.published, asking(None, "email", toggle))
    assert selection == Selection(channel="email", toggle=toggle)
    assert log.asked == asked


@pytest.mark.parametrize(
    ("words", "asked", "details"),
    [
        ((None, None, "novelties"), 1, {"toggle": "unknown toggle"}),
        ((None, None, "always"), 1, {"toggle": "unknown toggle"}),
        ((None, "pigeon", "news"), 1, {"channel": "unknown channel"}),
        (("toggled", None, "offers"), 0, {"type": "unknown type"}),
    ],
)
async def test_what_no_catalogue_ever_had_is_told(words, asked: int, details: dict[str, str]) -> None:
    log = Log()
    with pytest.raises(ValidationFailed) as refused:
        await validate_with_history(NOW, log.published, asking(*words))
    assert refused.value.details == details
    assert log.asked == asked
