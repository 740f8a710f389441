"""compose.yaml: what it starts, in which order, and what it keeps from whom."""

import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from api.command_line.companion import GRACE
from api.command_line.serve import STOP_WITHIN
from infrastructure.settings import Settings
from tests.support.composed import Missing, composed, environment_of
from tests.support.containerfile import ROOT

LAPTOP = environment_of(ROOT / "deploy/compose/development.env")
EXAMPLE = environment_of(ROOT / "deploy/compose/production.env.example")
SERVICES = composed(LAPTOP)["services"]
OURS = ("preferences", "followers", "relay", "migrate")
JOBS = ("migrate", "grants")
PASSWORDS = [name for name in EXAMPLE if name.endswith("PASSWORD")]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch):
    """The settings that the service makes of an environment."""

    def load(environment: dict[str, Any]) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        # What the image sets itself.
        for name, value in {"HOST": "0.0.0.0", "PORT": "8000", "DATA_DIR": "/data", **environment}.items():
            monkeypatch.setenv(name, str(value))
        return Settings.from_environment()

    return load


def test_it_keeps_to_the_specification() -> None:
    read = PyCompose.from_yaml(yaml.safe_dump(composed(LAPTOP)))
    assert set(read.service_names()) == set(SERVICES)


def test_a_word_that_does_not_exist_would_be_found() -> None:
    """The control."""
    wrong = composed(LAPTOP)
    wrong["services"]["nats"]["read_onyl"] = True
    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(yaml.safe_dump(wrong))


def docker_compose() -> list[str]:
    """The tool itself needs no engine for this. It is in no package of the lock, so its absence is no fault in CI either."""
    if (alone := shutil.which("docker-compose")) is not None:
        return [alone]
    plugin = ["docker", "compose"]
    if shutil.which("docker") and subprocess.run([*plugin, "version"], capture_output=True).returncode == 0:
        return plugin
    pytest.skip("docker compose isn't there")


def test_docker_compose_reads_it_as_these_tests_do() -> None:
    command = [*docker_compose(), "--env-file", "deploy/compose/development.env", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)["services"]
    assert set(read) == set(SERVICES)
    for name, service in SERVICES.items():
        assert read[name].get("environment", {}) == service.get("environment", {})
        assert read[name]["command"] == service.get("command")


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting_of_the_service(name: str) -> None:
    unknown = {variable for variable in SERVICES[name]["environment"] if variable.lower() not in Settings.model_fields}
    assert unknown == set()


OF_THE_IMAGE = {"HOST", "PORT", "DATA_DIR"}
OF_ANOTHER_DATABASE = {"DATABASE_STORAGE", "DATABASE_REPLICATION", "READ_DATABASE_URL", "READ_LAG_LIMIT"}
OF_ANOTHER_BROKER = {"NATS_REPLICAS", "NATS_CREDENTIALS", "NATS_MAX_BYTES"}
OF_DEPLOYMENT = {
    "DATABASE_URL",
    "HOST",
    "NATS_URL",
    "NATS_MONITORING_URL",
    "PUBLIC_URL",
    "FOLLOWERS",
    "DEVELOPMENT_IN_CONTAINER",
}
FOR_REFUSAL_ONLY = {"POSTGRES_ENABLE_DB_FUNCTIONS"}


def test_every_other_setting_can_be_made_in_the_environment_file(loaded) -> None:
    named = {variable for name in OURS for variable in SERVICES[name]["environment"]}
    without = OF_THE_IMAGE | OF_ANOTHER_DATABASE | OF_ANOTHER_BROKER | FOR_REFUSAL_ONLY
    assert {name.upper() for name in Settings.model_fields} - named == without
    made = {"CORS_ORIGINS": "https://app.example.com", "CHANGE_RATE_LIMIT": "30", "SWEEP_WITHIN": "7200"}
    services = composed({**LAPTOP, **made})["services"]
    server, followers = (loaded(services[name]["environment"]) for name in ("preferences", "followers"))
    assert (server.cors_origins, server.change_rate_limit) == (frozenset({"https://app.example.com"}), 30)
    assert followers.sweep_within == 7200


@pytest.mark.parametrize("name", OURS)
def test_the_defaults_are_those_of_the_service(loaded, name: str) -> None:
    given = SERVICES[name]["environment"]
    assert loaded(given) == loaded({variable: value for variable, value in given.items() if variable in OF_DEPLOYMENT})


@pytest.mark.parametrize("name", OURS)
def test_on_a_laptop_it_is_development_mode_that_is_published_on_loopback(loaded, name: str) -> None:
    settings = loaded(SERVICES[name]["environment"])
    assert settings.development
    assert settings.public_url == "http://127.0.0.1:8000"
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) > 2
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", OURS)
def test_what_is_not_set_is_as_if_it_were_not_named(loaded, name: str) -> None:
    given = SERVICES[name]["environment"]
    assert loaded(given) == loaded({variable: value for variable, value in given.items() if value != ""})


def test_the_example_for_production_has_to_be_filled_in() -> None:
    assert len(PASSWORDS) > 3
    for name in PASSWORDS:
        with pytest.raises(Missing, match=name):
            composed({**EXAMPLE, **dict.fromkeys(PASSWORDS, "secret"), name: ""})


def test_filled_in_it_is_production(loaded) -> None:
    services = composed({**EXAMPLE, **dict.fromkeys(PASSWORDS, "secret")})["services"]
    for name in OURS:
        settings = loaded(services[name]["environment"])
        assert settings.clerk_issuer == "https://clerk.example.com"
        assert not settings.development_in_container
    assert not loaded(services["preferences"]["environment"]).followers


def test_without_an_issuer_and_without_development_mode_nothing_starts(loaded) -> None:
    services = composed(
        {**EXAMPLE, **dict.fromkeys(PASSWORDS, "secret"), "CLERK_ISSUER": "", "CLERK_AUTHORIZED_PARTIES": ""}
    )
    for name in OURS:
        with pytest.raises(Exception, match=r"HOST 0\.0\.0\.0 can be reached from outside"):
            loaded(services["services"][name]["environment"])


def test_only_the_migration_has_the_owners_password() -> None:
    services = composed({**LAPTOP, "OWNER_PASSWORD": "of-the-owner"})["services"]
    knowing = {name for name, service in services.items() if "of-the-owner" in str(service)}
    assert knowing == {*JOBS, "postgres"}


@pytest.mark.parametrize("name", [*SERVICES])
def test_each_container_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service
    assert "privileged" not in service


def waits() -> Iterator[tuple[str, str, str]]:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            yield name, other, how["condition"]


@pytest.mark.parametrize(("name", "other", "condition"), [*waits()])
def test_what_a_service_waits_for_can_come_about(name: str, other: str, condition: str) -> None:
    awaited = SERVICES[other]
    if condition == "service_healthy":
        assert awaited["healthcheck"]["test"][0] == "CMD"
    else:
        assert condition == "service_completed_successfully"
        assert awaited["restart"] == "no"


def test_nothing_of_ours_runs_before_the_migration() -> None:
    assert {name for name, other, _ in waits() if other == "grants"} == set(OURS) - {"migrate"}
    assert [other for name, other, _ in waits() if name == "grants"] == ["migrate"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"grants"}))
def test_each_service_says_how_it_is_or_that_it_does_not(name: str) -> None:
    # The image's own check asks a port, which only the server has.
    check = SERVICES[name]["healthcheck"]
    assert (check == {"disable": True}) is (name in {"followers", "relay", "migrate"})


def test_a_service_has_the_time_to_end() -> None:
    def seconds(name: str) -> float:
        return float(SERVICES[name]["stop_grace_period"].removesuffix("s"))

    assert seconds("preferences") >= STOP_WITHIN + 5
    assert seconds("followers") >= GRACE
    assert seconds("relay") >= GRACE


def test_what_is_mounted_is_here_and_each_volume_is_named() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    for source in mounted:
        if source.startswith("."):
            assert (ROOT / source).exists(), source
    assert {source for source in mounted if not source.startswith(".")} == set(composed(LAPTOP)["volumes"])


def test_the_brokers_configuration_is_one() -> None:
    server = Path(sysconfig.get_path("scripts"), "nats-server")
    done = subprocess.run(
        [server, "-t", "-c", ROOT / "deploy/compose/nats.conf"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


def test_prometheus_asks_a_service_that_is_here() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        target for job in scraped["scrape_configs"] for static in job["static_configs"] for target in static["targets"]
    }
    assert "preferences:8000" in targets
    assert {target.split(":")[0] for target in targets} <= set(SERVICES)


PAGE = (ROOT / "docs/production.md").read_text()


def statements(text: str) -> list[str]:
    without_comments = re.sub(r"^(--|\\).*$", "", text, flags=re.MULTILINE)
    # Passwords differ: there they are words, here they come from the environment.
    return [re.sub(r"PASSWORD .*", "PASSWORD", one.strip()) for one in without_comments.split(";") if one.strip()]


@pytest.mark.parametrize(
    ("number", "file"), [(0, "deploy/postgres/roles.sql"), (1, "deploy/kubernetes/migration/grants.sql")]
)
def test_the_roles_and_their_rights_are_those_of_the_page(number: int, file: str) -> None:
    of_the_page = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[number]
    assert statements((ROOT / file).read_text()) == statements(of_the_page)
