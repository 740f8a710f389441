import stat
import subprocess
import sys
from subprocess import PIPE

import jwt
import pytest

from application.identity import UserSession
from infrastructure.identity.development_keys import DevelopmentKeys, _create
from infrastructure.identity.key_set import FixedKey
from infrastructure.identity.session_tokens import ClerkSessions


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A data directory with a key in it, for tests that don't care how it came there."""
    directory = tmp_path_factory.mktemp("data")
    return directory, DevelopmentKeys(directory)


@pytest.fixture
def keys(made_once):
    return made_once[1]


def sessions_of(keys: DevelopmentKeys, clock) -> ClerkSessions:
    return ClerkSessions(
        FixedKey(keys.public_pem), issuer=keys.issuer, authorized_parties=frozenset(), clock=clock, remembered=0
    )


@pytest.mark.parametrize(
    ("organization", "role", "known"),
    [
        (None, None, (None, None)),
        ("org_1", None, ("org_1", None)),
        ("org_1", "admin", ("org_1", "admin")),
        ("org_1", "org:admin", ("org_1", "admin")),
    ],
)
async def test_a_minted_token_is_a_session_token(organization, role, known, keys, clock):
    token = keys.mint("user_1", organization, role, session="sess_1", now=clock.now)
    assert await sessions_of(keys, clock).verify(token) == UserSession(
        "user_1", "sess_1", *known, None, clock.now + 86400
    )


async def test_a_minted_token_is_good_at_this_moment(keys):
    sessions = ClerkSessions(FixedKey(keys.public_pem), issuer=keys.issuer, authorized_parties=frozenset())
    assert (await sessions.verify(keys.mint("user_1", None, None))).session.startswith("sess_")


def test_a_minted_token_looks_like_one_of_clerks(keys, clock):
    token = keys.mint("user_1", "org_1", "admin", lifetime=60, now=clock.now)
    assert jwt.get_unverified_header(token) == {
        "alg": "RS256",
        "cat": "cl_B7d4PD111AAA",
        "kid": "development",
        "typ": "JWT",
    }
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims.pop("sid").startswith("sess_")
    assert claims == {
        "v": 2,
        "iss": "https://development.invalid",
        "sub": "user_1",
        "iat": clock.now,
        "nbf": clock.now - 10,
        "exp": clock.now + 60,
        "fva": [0, -1],
        "o": {"id": "org_1", "rol": "admin"},
    }


def test_every_minted_token_is_another(keys, clock):
    assert len({keys.mint("user_1", None, None, now=clock.now) for _ in range(5)}) == 5


@pytest.mark.parametrize("user", ["", "1", "mch_1", "User_1", "user_", " user_1"])
def test_only_users_get_tokens(user, keys):
    with pytest.raises(ValueError, match=r"^The user must start with user_ and go on after it\.$"):
        keys.mint(user, None, None)


def test_a_role_needs_an_organization(keys):
    with pytest.raises(ValueError, match=r"^A role needs an organization to hold it in\.$"):
        keys.mint("user_1", None, "admin")


def test_the_key_is_made_once_and_only_its_owner_may_read_it(made_once):
    directory, keys = made_once
    path = directory / "development" / "signing-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["signing-key.pem"]
    assert DevelopmentKeys(directory).public_pem == keys.public_pem
    assert "PRIVATE" not in keys.public_pem


def test_processes_that_start_at_once_get_the_same_key(tmp_path):
    program = (
        "import pathlib, sys; from infrastructure.identity.development_keys import DevelopmentKeys;"
        "sys.stdin.read(1); print(DevelopmentKeys(pathlib.Path(sys.argv[1])).public_pem)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdin=PIPE, stdout=PIPE, text=True)
        for _ in range(2)
    ]
    for process in started:
        process.stdin.write("g")
        process.stdin.flush()
    answers = {process.communicate()[0].strip() for process in started}
    assert answers == {DevelopmentKeys(tmp_path).public_pem.strip()}
    assert [file.name for file in (tmp_path / "development").iterdir()] == ["signing-key.pem"]


def test_whoever_comes_second_takes_the_key_of_the_first(made_once):
    directory, keys = made_once
    path = directory / "development" / "signing-key.pem"
    before = path.read_bytes()
    assert _create(path).public_key() == keys._key.public_key()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_damaged_file_is_reported_in_one_sentence(content, tmp_path):
    path = tmp_path / "development" / "signing-key.pem"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"holds no private RSA key; delete it and a new one is made\.$"):
        DevelopmentKeys(tmp_path)
    assert path.read_bytes() == content
