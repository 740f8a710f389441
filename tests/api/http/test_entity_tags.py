"""Entity tags, where the state itself stays as it is."""

import json
from uuid import UUID

from api.http.entity_tags import entity_tag
from application.preferences.state import State
from domain.catalogue import Catalogue, Channel, Toggle


def answer(default: bool) -> bytes:
    catalogue = Catalogue(1, (Channel("email", (Toggle("product_updates", default),)),))
    return json.dumps(catalogue.resolve({})).encode()


def test_a_default_that_changes_changes_the_tag_of_who_never_chose() -> None:
    state = State(UUID(int=1), 0, {})
    assert entity_tag(state, answer(default=True)) == entity_tag(state, answer(default=True))
    assert entity_tag(state, answer(default=True)) != entity_tag(state, answer(default=False))


def test_a_tag_is_of_one_stream_and_of_one_version() -> None:
    body = answer(default=True)
    states = [State(UUID(int=stream), version, {}) for stream in (1, 2) for version in (0, 1, 256)]
    assert len({entity_tag(state, body) for state in states}) == len(states)
