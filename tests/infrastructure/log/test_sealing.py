import pytest

from infrastructure.log.sealing import Unsealable, new_key, opens, seal, unseal

EVENT = "01JTBQH2FZ8K1RXC0WJ4Z9P3VM"
OTHER = "01JTBQH2FZ8K1RXC0WJ4Z9P3VN"
KEY = new_key()
ACTORS = [
    {"user": "user_ada"},
    {"user": "user_ada", "session": "sess_1"},
    {"user": "user_ada", "session": "sess_1", "impersonator": "user_grace"},
    {"user": "user_ada", "impersonator": "user_grace"},
    {"user": "zoë 🦊", "session": "sess_1"},
]


@pytest.mark.parametrize("actor", ACTORS)
def test_what_was_sealed_is_unsealed_as_it_was(actor) -> None:
    assert unseal(seal(actor, KEY, EVENT), KEY, EVENT) == actor


def test_nothing_of_it_can_be_seen() -> None:
    sealed = seal(ACTORS[2], KEY, EVENT)
    assert not any(name.encode() in sealed for name in ACTORS[2].values())
    assert seal(ACTORS[2], KEY, OTHER) != sealed


@pytest.mark.parametrize("place", range(0, 40, 7))
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealed = bytearray(seal(ACTORS[2], KEY, EVENT))
    sealed[place] ^= 1
    with pytest.raises(Unsealable):
        unseal(bytes(sealed), KEY, EVENT)


def test_another_key_or_another_event_opens_nothing() -> None:
    sealed = seal(ACTORS[0], KEY, EVENT)
    with pytest.raises(Unsealable):
        unseal(sealed, new_key(), EVENT)
    with pytest.raises(Unsealable):
        unseal(sealed, KEY, OTHER)


def test_a_key_opens_all_that_was_sealed_under_it_or_it_is_the_wrong_one() -> None:
    first, last = (seal(ACTORS[0], KEY, EVENT), EVENT), (seal(ACTORS[1], KEY, OTHER), OTHER)
    assert opens(KEY, [first])
    assert opens(KEY, [first, last])
    for key in (new_key(), b"", KEY[:-1]):
        assert not opens(key, [first, last])
    # nor does it open what is another event's, was sealed under another key, or has an id that is none
    for wrong in (
        (first[0], OTHER),
        (seal(ACTORS[0], new_key(), OTHER), OTHER),
        (b"", OTHER),
        (last[0], "x"),
        (last[0], None),
    ):
        assert not opens(KEY, [first, wrong])


def test_an_identifier_that_would_be_taken_for_two_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        seal({"user": "user_ada\x1fsess_2"}, KEY, EVENT)
