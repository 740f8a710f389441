"""A page in a real browser: on an allowed origin it does all that a dashboard does, and on another one nothing."""

from typing import Any

import pytest

from tests.support.browser import application, page
from tests.support.server import PATH
from tests.support.tokens import bearer

CALL = """
async ([url, method, headers, body]) => {
    try {
        const answer = await fetch(url, {method, headers, body: body ?? undefined});
        const text = await answer.text();
        return {
            status: answer.status,
            etag: answer.headers.get("ETag"),
            id: answer.headers.get("X-Request-Id"),
            retry: answer.headers.get("Retry-After"),
            json: text ? JSON.parse(text) : null,
        };
    } catch (error) {
        return {blocked: error.name};
    }
}
"""
ON, OFF = '{"email": {"weekly_usage_digest": true}}', '{"email": {"weekly_usage_digest": false}}'


@pytest.fixture
def port():
    with application() as running:
        yield running


async def test_a_dashboard_reads_changes_and_sees_what_went_wrong(serve, port: int) -> None:
    # Given a dashboard on the one origin that tokens are issued for
    origin = f"http://127.0.0.1:{port}"
    server = serve(clerk_authorized_parties=origin, change_rate_limit=3)
    token = bearer("user_ada", azp=origin)
    async with page(origin) as dashboard:

        async def call(method: str, path: str = PATH, body: str | None = None, **headers: str) -> dict[str, Any]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await dashboard.evaluate(CALL, [server.url + path, method, {**token, **named}, body])

        # when it reads, then it learns what is chosen and which state that is,
        read = await call("GET")
        assert read["status"] == 200
        assert read["etag"].startswith('"')
        assert len(read["id"]) == 26
        # and its change of that very state is made.
        changed = await call("PATCH", body=ON, If_Match=read["etag"], Content_Type="application/json")
        assert changed["status"] == 200
        assert changed["json"]["data"]["email"]["weekly_usage_digest"] is True
        assert changed["etag"] != read["etag"]
        # What has moved on meanwhile, it is told,
        stale = await call("PATCH", body=OFF, If_Match=read["etag"])
        assert (stale["status"], stale["json"]["error"]["code"]) == (412, "PRECONDITION_FAILED")
        assert stale["json"]["error"]["request_id"] == stale["id"]
        # and every other fault, with all that it needs to act upon it.
        answers = [
            await call("PATCH", body='{"email": {"product_news": true}}'),
            await call("PATCH", body="{"),
            await call("GET", "/v1/nothing"),
            await call("GET", Authorization="Bearer expired"),
            await call("GET", If_None_Match=changed["etag"], Cache_Control="no-cache"),
        ]
        assert [answer["status"] for answer in answers] == [422, 400, 404, 401, 304]
        while (limited := await call("PATCH", body=OFF))["status"] == 200:
            pass
        assert limited["status"] == 429
        assert int(limited["retry"]) > 0


async def test_a_page_elsewhere_neither_reads_nor_changes(serve, port: int) -> None:
    # Given a page with a user's token, but on an origin that is not the application's
    server = serve(clerk_issuer="https://clerk.test.example", cors_origins="https://app.example.com")
    token = bearer("user_ada")
    async with page(f"http://127.0.0.1:{port}") as elsewhere:
        # when it calls, then the browser keeps the answer from it,
        for method, body in (("GET", None), ("PATCH", ON)):
            assert await elsewhere.evaluate(CALL, [server.url + PATH, method, token, body]) == {"blocked": "TypeError"}
    # and no change has even been sent.
    assert b'"method":"PATCH"' not in server.log()
