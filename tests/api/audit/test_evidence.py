"""Evidence over HTTP, as a compliance officer gets it: the checkpoint, the catalogues, a user's bundle, and who has read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from api import bootstrap
from domain.preferences import stream_id
from tests.support.catalogues import publish
from tests.support.evidence import Evidence
from tests.support.readings import readings
from tests.support.server import PATH, Server
from tests.support.tokens import bearer
from tests.support.user_questions import SLASHES, path_of

AUDITOR = bearer("user_grace", "org_math", role="admin")
STRANGER = bearer("user_eve", "org_chess", role="admin")
CHECKPOINT, CATALOGUES, READS = (f"/v1/audit-log/{name}" for name in ("checkpoint", "catalogues", "reads"))
BUNDLE = "/v1/users/user_ada/evidence"


@pytest.fixture(scope="module")
def evidence(new_database, tmp_path_factory) -> Evidence:
    url = new_database()
    asyncio.run(publish(url))
    return Evidence(url, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def client(evidence: Evidence, tmp_path_factory) -> Iterator[httpx.Client]:
    """A service that knows the key, on a log in which Ada chose and which is signed."""
    settings = {**evidence.settings, "data_dir": tmp_path_factory.mktemp("data")}
    with Server(evidence.url, **settings) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        assert client.get(CHECKPOINT, headers=AUDITOR).status_code == 404
        assert client.get(BUNDLE, headers=AUDITOR).status_code == 404
        for enabled in ("true", "false"):
            body = f'{{"email": {{"weekly_usage_digest": {enabled}}}}}'
            assert client.patch(PATH, content=body, headers=bearer("user_ada")).status_code == 200
        evidence.checkpoint()
        yield client


def test_the_last_checkpoint_is_the_signed_text(client: httpx.Client, evidence: Evidence) -> None:
    data = client.get(CHECKPOINT, headers=AUDITOR).json()["data"]
    assert evidence.reader.open(data["note"]).split("\n")[:2] == [data["origin"], str(data["size"])]
    assert data["public_keys"] == [str(evidence.signer.verifier)]
    assert data["size"] == 4


def test_a_downloaded_bundle_proves_what_the_user_chose(client: httpx.Client, evidence: Evidence) -> None:
    before = len(readings(evidence.url))
    answer = client.get(BUNDLE, headers=AUDITOR)
    assert answer.headers["content-disposition"] == 'attachment; filename="evidence.json"'
    bundle, opened = bootstrap.evidence.verify_bundle(answer.content, str(evidence.signer.verifier))
    assert (bundle.organization, bundle.user, len(opened.events)) == ("org_math", "user_ada", 3)
    asked = {"resource_stream": str(stream_id("org_math", "user_ada"))}
    recorded = ("user:user_grace", "org_math", "user_evidence.export", asked, 3, "complete")
    assert readings(evidence.url)[before:] == [recorded]


def test_a_bundle_of_a_user_of_another_organization_is_not_there(client: httpx.Client) -> None:
    answer = client.get(BUNDLE, headers=STRANGER)
    assert answer.status_code == 404
    assert "user_ada" not in answer.text


@pytest.mark.parametrize("path", [CHECKPOINT, CATALOGUES, READS, BUNDLE])
def test_who_may_not_read_gets_nothing(path: str, client: httpx.Client) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers=bearer("user_ada")).status_code == 403
    assert client.get(path, headers=AUDITOR, params={"x": "1"}).json()["error"]["details"] == {"x": "unknown parameter"}


def test_every_catalogue_is_told_as_it_was_published(client: httpx.Client) -> None:
    [catalogue] = client.get(CATALOGUES, headers=AUDITOR).json()["data"]
    [channel] = catalogue["channels"]
    toggles = {toggle["name"]: toggle["mandatory"] for toggle in channel["toggles"]}
    assert (toggles["weekly_usage_digest"], toggles["security_alerts"]) == (False, True)


def test_who_has_read_is_told_to_the_same_organization_alone(client: httpx.Client) -> None:
    # Given readings of this organization and of another, one of them by support in the officer's name
    support = {"act": {"iss": "https://dashboard.clerk.com", "sid": "sess_staff", "sub": "user_staff"}}
    assert client.get("/v1/audit-log?toggle=product_updates", headers=STRANGER).status_code == 200
    impersonated = bearer("user_grace", "org_math", role="admin", **support)
    assert client.get("/v1/audit-log?toggle=billing_receipts", headers=impersonated).status_code == 200
    # when the record is read, page by page,
    answer = client.get(READS, headers=AUDITOR, params={"limit": 1})
    [reading], cursor = answer.json()["data"], answer.json()["meta"]["next_cursor"]
    found = [reading]
    while cursor is not None:
        page = client.get(READS, headers=AUDITOR, params={"limit": 50, "cursor": cursor}).json()
        found, cursor = found + page["data"], page["meta"]["next_cursor"]
    # then it names who read what, and staff only as such,
    assert (reading["reader"], reading["impersonated"], reading["action"]) == (
        "user:user_grace",
        True,
        "audit_log.read",
    )
    assert reading["filter"] == {"toggle": "billing_receipts", "limit": 50}
    assert "user_staff" not in str(found)
    assert len({one["id"] for one in found}) == len(found)
    # and nothing of the other organization, which sees its own.
    assert "user_eve" not in str(found)
    theirs = client.get(READS, headers=STRANGER).json()["data"]
    assert {one["reader"] for one in theirs} == {"user:user_eve"}
    # This reading is the newest in the record now.
    again = client.get(READS, headers=AUDITOR).json()["data"]
    assert again[0]["action"] == "audit_reads.read"


def test_a_cursor_that_is_none_is_refused(client: httpx.Client) -> None:
    answer = client.get(READS, headers=AUDITOR, params={"cursor": "e30="})
    assert answer.json()["error"]["details"] == {"cursor": "must be one that this endpoint returned"}


def test_of_a_log_that_was_altered_no_bundle_is_given(client: httpx.Client, evidence: Evidence) -> None:
    ada = stream_id("org_math", "user_ada")
    alter = "UPDATE preferences_events SET state = set_byte(state, 30, %s) WHERE originator_id = %s AND originator_version = 2"
    with psycopg.connect(evidence.url, autocommit=True) as connection:
        [(was,)] = connection.execute(
            "SELECT get_byte(state, 30) FROM preferences_events WHERE originator_id = %s AND originator_version = 2",
            [ada],
        ).fetchall()
        connection.execute(alter, [was ^ 1, ada])
        try:
            answer = client.get(BUNDLE, headers=AUDITOR)
        finally:
            connection.execute(alter, [was, ada])
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL")


def test_a_service_without_a_key_gives_nothing_that_it_cannot_check(evidence: Evidence, client, tmp_path: Path) -> None:
    with Server(evidence.url, data_dir=tmp_path) as server, httpx.Client(base_url=server.url) as other:
        assert other.get(CHECKPOINT, headers=AUDITOR).status_code == 404
        assert other.get(BUNDLE, headers=AUDITOR).status_code == 404
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("form", SLASHES)
def test_a_user_whose_id_has_slashes_has_a_bundle_like_any_other(
    client: httpx.Client, evidence: Evidence, form: str
) -> None:
    # Given a user whose id is that of another user with slashes around it, and whose choice is signed
    user = form.format("user_ada")
    body = b'{"email": {"weekly_usage_digest": true}}'
    assert client.patch(PATH, content=body, headers=bearer(user)).status_code == 200
    evidence.checkpoint()
    # when the bundle is asked for with the id encoded, then it is that user's.
    answer = client.get(path_of(user, "evidence"), headers=AUDITOR)
    assert answer.status_code == 200
    bundle, opened = bootstrap.evidence.verify_bundle(answer.content, str(evidence.signer.verifier))
    assert (bundle.user, len(opened.events)) == (user, 2)
