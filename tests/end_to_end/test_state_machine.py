"""Random PATCHes, GETs, restarts and rebuilds of the real service, against a model of three lines."""

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from api import bootstrap
from domain.catalogue import CATALOGUE
from tests.support.server import PATH, Server
from tests.support.soak import rounds, soak
from tests.support.tokens import bearer

TOGGLES = [path.removeprefix("email.") for path in CATALOGUE.defaults]
USERS = [("user_ada", "org_math"), ("user_ada", "org_physics"), ("user_bob", None)]
BOUNDED = settings(
    max_examples=rounds(6, 40),
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    # A failure is reported as it was found: making it smaller would take minutes of restarts.
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
PARTIALS = st.dictionaries(st.sampled_from(TOGGLES), st.booleans())


class Model:
    """Choices are a dictionary that partials are merged into; an event is a choice that wasn't there before."""

    def __init__(self) -> None:
        self.choices: dict[Any, dict[str, bool]] = {}
        self.events = 0

    def patch(self, who: Any, partial: dict[str, bool]) -> None:
        choices = self.choices.setdefault(who, {})
        self.events += sum(choices.get(toggle) is not enabled for toggle, enabled in partial.items())
        choices.update(partial)

    def answer(self, who: Any) -> dict[str, Any]:
        defaults = {path.removeprefix("email."): default for path, default in CATALOGUE.defaults.items()}
        return {"success": True, "data": {"email": {**defaults, **self.choices.get(who, {})}}}


def machine(server: Server, client: httpx.Client) -> type[RuleBasedStateMachine]:
    class Preferences(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model()
            self.steps = 0
            self.tags: dict[Any, str] = {}
            with psycopg.connect(server.database_url, autocommit=True) as connection:
                connection.execute("TRUNCATE preferences_events, current_preferences, person_keys")

        @rule(who=st.sampled_from(USERS), partial=PARTIALS)
        def patch(self, who: Any, partial: dict[str, bool]) -> None:
            self.model.patch(who, partial)
            response = client.patch(server.url + PATH, json={"email": partial}, headers=bearer(*who))
            assert (response.status_code, response.json()) == (200, self.model.answer(who))
            self.tags[who] = response.headers["etag"]

        @rule(who=st.sampled_from(USERS), partial=PARTIALS)
        def refused_patch(self, who: Any, partial: dict[str, bool]) -> None:
            response = client.patch(server.url + PATH, json={"email": {**partial, "fax": True}}, headers=bearer(*who))
            assert response.status_code == 422

        @rule(who=st.sampled_from(USERS), partial=PARTIALS)
        def stale_patch(self, who: Any, partial: dict[str, bool]) -> None:
            headers = {**bearer(*who), "If-Match": '"of some other state"'}
            assert client.patch(server.url + PATH, json={"email": partial}, headers=headers).status_code == 412

        @rule(who=st.sampled_from(USERS))
        def get(self, who: Any) -> None:
            response = client.get(server.url + PATH, headers=bearer(*who))
            assert (response.status_code, response.json()) == (200, self.model.answer(who))
            assert self.tags.setdefault(who, response.headers["etag"]) == response.headers["etag"]

        @rule()
        def rebuild(self) -> None:
            result = asyncio.run(bootstrap.rebuilds.rebuild(server.database_url, lambda done, total: None, swap=True))
            assert result.equal, result.comparison.differences

        # Starting takes a second, and a rule is chosen as often as any other.
        @precondition(lambda self: self.steps >= 8)
        @rule()
        def restart(self) -> None:
            self.steps = 0
            server.kill()
            server.start()

        @invariant()
        def each_choice_is_one_event(self) -> None:
            self.steps += 1
            with psycopg.connect(server.database_url) as connection:
                topic = "notification-preferences.toggled"
                row = connection.execute("SELECT count(*) FROM preferences_events WHERE topic = %s", [topic]).fetchone()
            assert row == (self.model.events,)

    return Preferences


@soak
def test_the_service_behaves_like_the_model(serve) -> None:
    server = serve()
    with httpx.Client(timeout=10) as client:
        run_state_machine_as_test(
            machine(server, client),
            settings=BOUNDED,
        )


def test_the_machine_sees_a_service_that_forgets(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: behind the service's back a choice is taken out of the read model, and the machine must notice."""
    server = serve()

    class Forgetful(httpx.Client):
        def patch(self, *arguments: Any, **options: Any) -> httpx.Response:
            response = super().patch(*arguments, **options)
            with psycopg.connect(server.database_url, autocommit=True) as connection:
                connection.execute("UPDATE current_preferences SET choices = choices - 'email.weekly_usage_digest'")
            return response

    with Forgetful(timeout=10) as client, pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine(server, client),
            settings=BOUNDED,
        )
