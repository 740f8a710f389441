"""Signing in on a page: in development mode as any user, and from no other page than the service's own."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.server import PATH, Server

SESSION = "/development/session"
DEMO = {"user": "user_demo", "organization": "org_demo", "role": ""}


async def ask(server: Server, body: Any = DEMO, **headers: str) -> httpx.Response:
    sent = {"Origin": server.url} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        return await http.post(SESSION, json=body, headers={name: value for name, value in sent.items() if value})


async def test_a_developer_is_any_user_with_or_without_the_audit_log(development: Server) -> None:
    # Given a session of a member and one of an administrator
    async with httpx.AsyncClient(base_url=development.url, timeout=10) as http:
        for role, status in (("", 403), ("admin", 200)):
            made = await ask(development, {**DEMO, "role": role})
            assert made.status_code == 200
            assert made.headers["cache-control"] == "no-store"
            assert set(made.json()["data"]) == {"token", "expires_at"}
            assert made.json()["data"]["expires_at"].endswith("Z")
            caller = {"Authorization": f"Bearer {made.json()['data']['token']}"}
            # when they read, then both see their preferences, and the administrator alone the audit log.
            assert (await http.get(PATH, headers=caller)).status_code == 200
            assert (await http.get("/v1/audit-log", headers=caller)).status_code == status


async def test_only_a_page_of_the_service_itself_gets_a_token(development: Server, dashboard: str) -> None:
    port = development.url.rsplit(":", 1)[1]
    refused = {
        "no browser": {"Origin": ""},
        "another site": {"Origin": "https://evil.example.com"},
        "an origin that may call the API": {"Origin": dashboard},
        "another port": {"Origin": "http://127.0.0.1:1"},
        "an opaque origin": {"Origin": "null"},
        "a foreign name for this machine": {"Origin": f"http://evil.example.com:{port}", "Host": f"evil.example.com:{port}"},
        "nonsense": {"Origin": "http://[", "Host": "["},
        "another port of this machine": {"Sec-Fetch-Site": "same-site"},
        "another site, as the browser sees it": {"Sec-Fetch-Site": "cross-site"},
    }  # fmt: skip
    for why, headers in refused.items():
        answer = await ask(development, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), why
        assert "data" not in answer.json()
    for host in ("localhost", "127.0.0.1", "[::1]"):
        named = f"{host}:{port}"
        assert (await ask(development, Origin=f"http://{named}", Host=named)).status_code == 200
    # A proxy may have changed the name that was asked for; the browser has compared the two.
    behind_a_proxy = {"Origin": "https://127.0.0.1:1", "Host": "preferences", "Sec-Fetch-Site": "same-origin"}
    assert (await ask(development, **behind_a_proxy)).status_code == 200


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ([], {"body": "must be an object"}),
        ({**DEMO, "admin": True}, {"admin": "unknown field"}),
        ({**DEMO, "role": 1}, {"role": "must be a string"}),
        ({**DEMO, "user": ""}, {"user": "The user must start with user_ and go on after it."}),
        ({**DEMO, "user": "ada"}, {"user": "The user must start with user_ and go on after it."}),
        ({"user": "user_a", "role": "admin"}, {"user": "A role needs an organization to hold it in."}),
        (
            {"user": "user_a b"},
            {"user": "the service would refuse such a token: sub missing or malformed"},
        ),
    ],
)
async def test_what_no_token_can_have_is_refused_with_a_sentence(development: Server, body, details) -> None:
    answer = await ask(development, body)
    assert (answer.status_code, answer.json()["error"]["details"]) == (422, details)


async def test_outside_of_development_mode_there_is_no_such_address(server: Server) -> None:
    assert (await ask(server)).status_code == 404


async def test_a_page_takes_nothing_from_elsewhere_and_leads_nowhere(development: Server) -> None:
    async with httpx.AsyncClient(base_url=development.url) as http:
        page = await http.get("/preferences")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in page.headers
    assert "//" not in page.text


async def test_with_clerk_a_page_may_load_its_script_from_the_instance_alone(serve: Callable[..., Server]) -> None:
    key = "pk_live_" + base64.b64encode(b"clerk.example.com$").decode()
    server = serve(clerk_publishable_key=key)
    async with httpx.AsyncClient(base_url=server.url) as http:
        page = await http.get("/preferences")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == policy["connect-src"] == "'self' https://clerk.example.com"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert f'data-key="{key}"' in page.text
