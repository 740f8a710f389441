"""Real keys, a real key server, a clock that only moves when told to, and tokens as Clerk signs them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from infrastructure.identity.key_set import FixedKey, RemoteKeySet
from infrastructure.identity.session_tokens import ClerkSessions
from tests.support.sessions import APP, ISSUER

NOW = 1_760_000_000


class SimulatedClock:
    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture(scope="session")
def rsa_keys() -> SimpleNamespace:
    """`ours` signs; `other` is as good a key, but not ours; `short` is too short to be anybody's."""

    def generate(bits: int) -> RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)

    return SimpleNamespace(ours=generate(2048), other=generate(2048), short=generate(1024))


@pytest.fixture(scope="session")
def public_pem(rsa_keys):
    def of(key: RSAPrivateKey) -> str:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    return of


@pytest.fixture(scope="session")
def jwk():
    def of(key: RSAPrivateKey | RSAPublicKey, kid: str | None, **more: Any) -> dict[str, Any]:
        public = key.public_key() if isinstance(key, RSAPrivateKey) else key
        described = {"kty": "RSA", "use": "sig", "alg": "RS256", **RSAAlgorithm.to_jwk(public, as_dict=True), **more}
        return described if kid is None else {**described, "kid": kid}

    return of


ABSENT = object()


@pytest.fixture(scope="session")
def absent():
    """Stands for a claim or header that is left out."""
    return ABSENT


@pytest.fixture(scope="session")
def token(rsa_keys):
    """Make a valid version 2 session token, then change what the test is about."""

    def make(
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        *,
        key: Any = None,
        algorithm: str = "RS256",
        payload: bytes | None = None,
    ) -> str:
        said = {
            "azp": APP,
            "exp": NOW + 60,
            "fva": [3, -1],
            "iat": NOW,
            "iss": ISSUER,
            "jti": "7f1b",
            "nbf": NOW - 10,
            "sid": "sess_1",
            "sub": "user_1",
            "v": 2,
            **(claims or {}),
        }
        said = {name: value for name, value in said.items() if value is not ABSENT}
        headers = {"kid": "ours", "cat": "cl_B7d4PD111AAA", "typ": "JWT", **(header or {})}
        # PyJWT adds a `typ` of its own unless it is told an empty one.
        headers = {name: value for name, value in headers.items() if value is not ABSENT} | (
            {"typ": None} if headers["typ"] is ABSENT else {}
        )
        body = json.dumps(said).encode() if payload is None else payload
        return jwt.PyJWS().encode(body, key or rsa_keys.ours, algorithm=algorithm, headers=headers)

    return make


class KeyServer:
    """Serves `body` with `status` from a port of its own. While `held` is set, answers wait for `release`.

    With a `location`, sends everybody there who doesn't ask for `?moved`.
    """

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.location: str | None = None
        self.requests = 0
        self.agents: list[str | None] = []
        self.held = False
        self.asked = threading.Event()
        self.release = threading.Event()
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests += 1
                served.agents.append(self.headers["User-Agent"])
                served.asked.set()
                if served.held:
                    served.release.wait(2)
                if served.location is not None and not self.path.endswith("?moved"):
                    self.send_response(302)
                    self.send_header("Location", served.location)
                else:
                    self.send_response(served.status)
                self.send_header("Content-Length", str(len(served.body)))
                self.end_headers()
                self.wfile.write(served.body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/.well-known/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, *keys: Any) -> None:
        self.status, self.body = 200, json.dumps({"keys": keys}).encode()

    def fail(self, status: int = 503) -> None:
        self.status, self.body = status, b"no"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()


@pytest.fixture
def fixed_key(rsa_keys, public_pem):
    return FixedKey(public_pem(rsa_keys.ours))


@pytest.fixture
def sessions(fixed_key, clock):
    return ClerkSessions(fixed_key, issuer=ISSUER, authorized_parties=frozenset({APP}), clock=clock)


@pytest.fixture
async def remote(key_server, clock, jwk, rsa_keys):
    """Sessions whose keys come from a real key server, which knows `ours`."""
    key_server.serve(jwk(rsa_keys.ours, "ours"))
    keys = RemoteKeySet(key_server.url, clock=clock)
    await keys.start()
    sessions = ClerkSessions(keys, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    yield SimpleNamespace(keys=keys, sessions=sessions)
    await keys.close()
