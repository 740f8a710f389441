"""`preferences token`."""

import stat
from collections.abc import Callable

import httpx
import jwt
import pytest

from tests.support.command import Command, Result, one_sentence
from tests.support.server import PATH, Server


@pytest.fixture
def make(nowhere: Command, monkeypatch, capsys) -> Callable[..., Result]:
    """Making a token needs no database, and no process of its own."""
    return lambda *arguments, **settings: nowhere.inside(monkeypatch, capsys, *arguments, **settings)


def test_a_token_of_the_command_is_taken_by_the_service(
    preferences: Command, inside, database_url: str, folder
) -> None:
    made = preferences("token", "--user", "user_ada", "--org", "org_math", "--role", "admin")
    assert (made.returncode, made.stderr) == (0, "")
    [token] = made.stdout.splitlines()
    with Server(database_url, clerk_issuer=None, clerk_jwt_key=None, data_dir=folder / "data") as server:
        response = httpx.get(server.url + PATH, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200
        elsewhere = inside("token", data_dir=folder / "another").stdout.strip()
        assert httpx.get(server.url + PATH, headers={"Authorization": f"Bearer {elsewhere}"}).status_code == 401


def test_it_says_what_it_was_asked_to_say(make) -> None:
    def claims(*arguments: str):
        token = make("token", *arguments).stdout.strip()
        return jwt.decode(token, options={"verify_signature": False})

    given = claims("--user", "user_ada", "--org", "org_math", "--role", "admin", "--hours", "0.5")
    assert (given["sub"], given["o"]["id"], given["o"]["rol"]) == ("user_ada", "org_math", "admin")
    assert given["exp"] - given["iat"] == 1800
    plain = claims()
    assert plain["sub"] == "user_demo"
    assert "o" not in plain
    assert plain["exp"] - plain["iat"] == 24 * 3600


def test_the_signing_key_is_for_its_owner_alone(make, folder) -> None:
    make("token")
    [key] = (folder / "data").rglob("*.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--user", "ada"], "must start with user_"),
        (["--user", "user_"], "must start with user_"),
        (["--user", ""], "must start with user_"),
        (["--role", "admin"], "needs an organization"),
        (["--user", "user_ada lovelace"], "would refuse such a token"),
        (["--user", "user_" + "x" * 300], "would refuse such a token"),
        (["--org", "org math"], "would refuse such a token"),
    ],
)
def test_what_no_token_can_say_is_refused(make, arguments: list[str], said: str) -> None:
    assert said in one_sentence(make("token", *arguments))


def test_outside_of_development_mode_there_are_none(make, folder) -> None:
    assert "CLERK_ISSUER is set" in one_sentence(make("token", clerk_issuer="https://clerk.test.example"))
    assert not (folder / "data").exists()


def test_a_folder_that_is_none_is_one_sentence(make, folder) -> None:
    (folder / "file").write_text("")
    assert str(folder / "file") in one_sentence(make("token", data_dir=folder / "file"))


def test_a_signing_key_that_is_none_is_one_sentence(nowhere: Command, make, folder) -> None:
    make("token")
    [key] = (folder / "data").rglob("*.pem")
    key.write_text("nonsense")
    assert "no private RSA key" in one_sentence(make("token"))
    assert "no private RSA key" in one_sentence(nowhere("serve", port=0))
