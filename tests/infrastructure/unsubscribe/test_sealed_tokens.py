"""The tokens of unsubscribe links: what they keep to themselves, and that none of them can be altered."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.unsubscribing import Subscription
from domain.errors import NotFound
from infrastructure.unsubscribe.link_key import LinkKey, of_data_dir
from infrastructure.unsubscribe.sealed_tokens import SealedTokens
from tests.support.links import FORMER_SECRET, SECRET, token

NEWS = "email.product_updates"
KEY, FORMER = LinkKey.parse(SECRET), LinkKey.parse(FORMER_SECRET)
NAMES = st.from_regex(r"[!-~]{1,255}", fullmatch=True)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def opens(tokens: SealedTokens, text: str) -> bool:
    try:
        tokens.read(text)
    except NotFound:
        return False
    return True


@given(st.none() | st.text(max_size=255).filter(lambda text: text.isprintable()), NAMES)
def test_a_token_names_what_it_was_made_for(organization: str | None, user: str) -> None:
    tokens = SealedTokens([KEY])
    [made] = tokens.make(organization, NEWS, [user])
    assert tokens.read(made) == Subscription(organization, user, NEWS)


def test_no_two_subscriptions_share_a_token_and_one_always_has_the_same() -> None:
    subscriptions = [
        (organization, user, path)
        for organization in ("org_math", "org", None)
        for user in ("user_ada", "user_bob", "a_user")
        for path in (NEWS, "email.delivery_alerts")
    ]
    made = [token(user, organization, path) for organization, user, path in subscriptions]
    assert len({*made}) == len(subscriptions)
    assert made == [token(user, organization, path) for organization, user, path in subscriptions]


def test_nothing_personal_can_be_read_in_a_token() -> None:
    made = token("user_ada", "org_math")
    assert re.fullmatch("[A-Za-z0-9_-]+", made)
    decoded = urlsafe_b64decode(made + "=" * (-len(made) % 4))
    for text in (b"user", b"ada", b"org", b"math", b"product"):
        assert text not in decoded.lower()
        assert text.decode() not in made.lower()
    # Tokens of the same user have nothing in common but the key's name, and so don't show that they are of one user.
    another = token("user_ada", "org_math", "email.delivery_alerts")
    assert made[:6] == another[:6]
    assert sum(a == b for a, b in zip(made[7:], another[7:], strict=False)) < 20


def test_a_token_with_any_single_bit_altered_opens_nothing() -> None:
    tokens = SealedTokens([KEY, FORMER])
    for user in (
        "user_ada",
        "user_grace",
        "user_abcd",
    ):  # three lengths: the last character has 2, 4 and no bits to spare
        made = token(user)
        assert opens(tokens, made)
        sealed = bytearray(urlsafe_b64decode(made + "=" * (-len(made) % 4)))
        for bit in range(len(sealed) * 8):
            altered = bytearray(sealed)
            altered[bit // 8] ^= 1 << bit % 8
            assert not opens(tokens, urlsafe_b64encode(altered).rstrip(b"=").decode())
        for at in range(len(made)):
            for bit in range(7):
                assert not opens(tokens, made[:at] + chr(ord(made[at]) ^ 1 << bit) + made[at + 1 :])
    lengths = {len(token(user)) % 4 for user in ("user_ada", "user_grace", "user_abcd")}
    assert lengths == {0, 2, 3}


def test_every_other_spelling_of_a_token_opens_nothing() -> None:
    tokens = SealedTokens([KEY])
    made = token("user_ada")
    assert opens(tokens, made)
    spellings = {made[:-1] + last for last in ALPHABET} - {made}
    spellings |= {
        made + "=",
        made + "==",
        made + "A",
        made + "!",
        f"!{made}",
        made[:9] + "\n" + made[9:],
        made[:-1],
        made[1:],
    }
    spellings |= {
        made[:9] + "+" + made[9:],
        made.lower(),
        made + "\u00e9",
        "\u00e9",
        "",
        "A",
        "AA",
        "AAAAAAAA",
        "\ud800",
        "=" * 40,
    }
    assert [text for text in spellings if opens(tokens, text)] == []


def test_a_token_of_another_key_version_or_purpose_opens_nothing() -> None:
    tokens = SealedTokens([KEY])
    assert not opens(tokens, token("user_ada", secret=FORMER_SECRET))
    sealed = urlsafe_b64decode(token("user_ada") + "==")
    assert not opens(tokens, urlsafe_b64encode(b"\x02" + sealed[1:]).rstrip(b"=").decode())
    # A key that signs with the right name still isn't the right key.
    assert not opens(
        tokens, urlsafe_b64encode(sealed[:5] + FORMER.cipher.encrypt(b"x", [sealed[:5]])).decode().rstrip("=")
    )


def test_the_newest_key_seals_and_every_key_opens() -> None:
    before = SealedTokens([FORMER])
    [sent_long_ago] = before.make("org_math", NEWS, ["user_ada"])
    rotated = SealedTokens([KEY, FORMER])
    [sent_today] = rotated.make("org_math", NEWS, ["user_ada"])
    assert rotated.read(sent_long_ago) == rotated.read(sent_today)
    assert opens(SealedTokens([KEY]), sent_today)
    # Control: a key that was taken away opens nothing any more.
    assert not opens(SealedTokens([KEY]), sent_long_ago)


def test_the_longest_ids_fit_into_a_header_line() -> None:
    from infrastructure.settings.unsubscribe import LONGEST

    made = token("u" * 255, "o" * 255, f"{'c' * 20}.{'t' * 40}")
    line = f"List-Unsubscribe: <{'h' * LONGEST}/unsubscribe/{made}>"
    assert len(line) <= 998


def test_the_key_of_a_data_directory_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = of_data_dir(tmp_path)
    assert made.id == of_data_dir(tmp_path).id
    assert made.id != of_data_dir(tmp_path / "another").id
    [file] = (tmp_path / "unsubscribe").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("nothing of the kind")
    with pytest.raises(ValueError, match=f"{file} holds no key"):
        of_data_dir(tmp_path)
