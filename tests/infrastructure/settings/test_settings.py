import base64
import re
from pathlib import Path

import pytest

from infrastructure.settings import Settings, SettingsError, is_loopback
from tests.support.links import FORMER_SECRET, SECRET
from tests.support.tokens import public_pem

PEM = public_pem()
PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
ISSUER = "https://clerk.example.com"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return lambda **values: [monkeypatch.setenv(name, value) for name, value in values.items()]


def test_with_nothing_set_it_is_development_mode_on_loopback(environment) -> None:
    settings = Settings.from_environment()
    assert settings.development
    assert (settings.host, settings.port, settings.data_dir, settings.database_url) == (
        "127.0.0.1",
        8000,
        Path("data"),
        None,
    )


def test_the_page_names_all_that_may_be_set() -> None:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", PAGE.read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"\w+", row)]
    assert sorted(named) == sorted(
        name.upper() for name in Settings.model_fields if name != "postgres_enable_db_functions"
    )


def test_the_environment_is_read_under_the_usual_names(environment) -> None:
    environment(
        DATABASE_URL="postgresql://db/prefs",
        PORT="9000",
        HOST="0.0.0.0",
        WEB_CONCURRENCY="3",
        LOG_LEVEL="WARNING",
        CLERK_ISSUER=ISSUER,
        CLERK_AUTHORIZED_PARTIES="https://app.example.com, https://admin.example.com,",
        CLERK_JWT_KEY=PEM.replace("\n", "\\n"),
    )
    settings = Settings.from_environment()
    assert not settings.development
    assert settings.clerk_authorized_parties == {"https://app.example.com", "https://admin.example.com"}
    assert settings.clerk_jwt_key == PEM
    assert (settings.port, settings.web_concurrency, settings.log_level) == (9000, 3, "warning")


def test_in_a_container_development_mode_may_listen_beyond_loopback_and_is_reached_there(environment) -> None:
    environment(HOST="0.0.0.0", DEVELOPMENT_IN_CONTAINER="on")
    settings = Settings.from_environment()
    assert settings.development
    assert (settings.host, settings.loopback) == ("0.0.0.0", "127.0.0.1")
    # Elsewhere people enter the address that is listened on.
    environment(HOST="::1", DEVELOPMENT_IN_CONTAINER="off")
    assert Settings.from_environment().loopback == "::1"


@pytest.mark.parametrize("issuer", [ISSUER, ISSUER + "/"])
def test_the_key_set_is_the_issuers_unless_it_is_said_where(environment, issuer: str) -> None:
    environment(CLERK_ISSUER=issuer)
    assert Settings.from_environment().jwks_url == "https://clerk.example.com/.well-known/jwks.json"
    environment(CLERK_JWKS_URL="https://keys.example.com/set")
    assert Settings.from_environment().jwks_url == "https://keys.example.com/set"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"PORT": "http"}, "PORT must be a valid integer"),
        ({"DATABASE_URL": "sqlite:///x"}, "DATABASE_URL must start with postgresql://"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be 'debug', 'info', 'warning' or 'error'"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY must be greater than or equal to 1"),
        ({"CLERK_ISSUER": "http://clerk.example.com"}, "CLERK_ISSUER must start with https://"),
        ({"CLERK_AUTHORIZED_PARTIES": "https://a"}, "CLERK_ISSUER must be set"),
        ({"CLERK_ISSUER": ISSUER, "CLERK_JWT_KEY": "no key"}, "CLERK_JWT_KEY "),
        ({"ROLE_SCOPES": "admin"}, "ROLE_SCOPES must be role=scope"),
        ({"ROLE_SCOPES": "admin="}, "ROLE_SCOPES must be role=scope"),
        ({"ROLE_SCOPES": "=audit:read"}, "ROLE_SCOPES must be role=scope"),
        ({"ROLE_SCOPES": "admin=audit:read;org:admin=events:read"}, "ROLE_SCOPES must name each role once: admin"),
        ({"ROLE_SCOPES": "admin=audit:raed"}, "ROLE_SCOPES must be made of .*audit:read.*: not audit:raed"),
        ({"CORS_ORIGINS": "app.example.com"}, "CORS_ORIGINS must be origins, such as https://.*: app.example.com"),
        ({"CORS_ORIGINS": "https://app.example.com/path"}, "CORS_ORIGINS must be origins"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS must be origins"),
        ({"CLERK_ISSUER": ISSUER, "CLERK_AUTHORIZED_PARTIES": "app"}, "CLERK_AUTHORIZED_PARTIES must be origins"),
        ({"PUBLIC_URL": "http://mail.example.com"}, "PUBLIC_URL must start with https://"),
        ({"PUBLIC_URL": "mail.example.com"}, "PUBLIC_URL must be an address such as https://mail.example.com"),
        ({"PUBLIC_URL": "https://mail.example.com/?a=b"}, "PUBLIC_URL must be an address"),
        ({"PUBLIC_URL": "https://mail.example.com/>\r\nBcc: x"}, "PUBLIC_URL must be an address"),
        ({"PUBLIC_URL": f"https://{'mail.' * 30}example.com"}, "of at most 150 characters"),
        ({"UNSUBSCRIBE_KEYS": "c2hvcnQ="}, "UNSUBSCRIBE_KEYS must be base64 of at least 32 bytes each"),
        ({"UNSUBSCRIBE_KEYS": f"{SECRET},no base64"}, "UNSUBSCRIBE_KEYS must be base64"),
        ({"UNSUBSCRIBE_KEYS": f"{SECRET},{SECRET}"}, "UNSUBSCRIBE_KEYS must be different from each other"),
        ({"UNSUBSCRIBE_RATE_LIMIT": "-1"}, "UNSUBSCRIBE_RATE_LIMIT must be greater than or equal to 0"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT must start with http://"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER must be 'always_on', "),
        ({"OTEL_TRACES_SAMPLER_ARG": "1.5"}, "OTEL_TRACES_SAMPLER_ARG must be less than or equal to 1"),
        ({"HOST": "0.0.0.0"}, "HOST 0.0.0.0 can be reached from outside"),
        ({"POSTGRES_ENABLE_DB_FUNCTIONS": "y"}, "POSTGRES_ENABLE_DB_FUNCTIONS must not be enabled"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_wrong(environment, values: dict[str, str], sentence: str) -> None:
    environment(**values)
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment()


def test_empty_settings_of_opentelemetry_count_as_none(environment) -> None:
    names = [name.upper() for name in Settings.model_fields if name.startswith("otel_")]
    assert len(names) == 4
    environment(**dict.fromkeys(names, ""))
    settings = Settings.from_environment()
    assert (settings.traced, settings.otel_traces_sampler, settings.otel_traces_sampler_arg) == (
        False,
        "parentbased_traceidratio",
        0.01,
    )


def test_all_wrong_settings_are_told_together(environment) -> None:
    environment(PORT="http", LOG_LEVEL="loud", DATABASE_URL="x", POSTGRES_ENABLE_DB_FUNCTIONS="1")
    with pytest.raises(SettingsError) as told:
        Settings.from_environment()
    assert [line.split()[0] for line in str(told.value).splitlines()] == [
        "DATABASE_URL",
        "PORT",
        "LOG_LEVEL",
        "POSTGRES_ENABLE_DB_FUNCTIONS",
    ]


def test_a_secret_is_never_part_of_the_sentence(environment) -> None:
    environment(DATABASE_URL="mysql://user:hunter2@db/prefs")
    with pytest.raises(SettingsError) as told:
        Settings.from_environment()
    assert "hunter2" not in str(told.value)


def test_the_public_address_has_no_slash_at_its_end_and_may_have_a_path(environment) -> None:
    for given, address in (
        ("https://mail.example.com/", "https://mail.example.com"),
        ("https://example.com/preferences/", "https://example.com/preferences"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("", None),
    ):
        environment(PUBLIC_URL=given)
        assert Settings.from_environment().public_url == address


def test_the_keys_of_links_are_listed_newest_first(environment) -> None:
    environment(UNSUBSCRIBE_KEYS=f" {SECRET} , {FORMER_SECRET},")
    assert Settings.from_environment().unsubscribe_keys == (SECRET, FORMER_SECRET)


def test_an_admin_reads_the_audit_log_unless_it_is_said_otherwise(environment) -> None:
    assert Settings.from_environment().role_scopes == {"admin": {"audit:read"}}


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("", {}),
        ("admin=audit:read", {"admin": {"audit:read"}}),
        ("org:admin=audit:read", {"admin": {"audit:read"}}),
        (
            " admin = audit:read , events:read ;; auditor=audit:read; ",
            {"admin": {"audit:read", "events:read"}, "auditor": {"audit:read"}},
        ),
    ],
)
def test_each_role_has_the_scopes_that_are_written_beside_it(environment, text: str, scopes) -> None:
    environment(ROLE_SCOPES=text)
    assert Settings.from_environment().role_scopes == scopes


@pytest.mark.parametrize("issuer", [ISSUER, ISSUER + "/", ISSUER + "//"])
def test_a_slash_at_the_end_of_the_issuer_makes_no_difference(environment, issuer: str) -> None:
    environment(CLERK_ISSUER=issuer)
    assert Settings.from_environment().clerk_issuer == ISSUER


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        (None, {"https://app.example.com"}),
        ("", {"https://app.example.com"}),
        ("none", set()),
        ("https://one.example.com, http://localhost:5173,", {"https://one.example.com", "http://localhost:5173"}),
        ("HTTPS://App.Example.com:443/", {"https://app.example.com"}),
        (
            "http://app.example.com:80,https://app.example.com:80",
            {"http://app.example.com", "https://app.example.com:80"},
        ),
        ("capacitor://localhost", {"capacitor://localhost"}),
    ],
)
def test_the_pages_that_may_call_are_those_that_tokens_are_issued_for_unless_it_is_said(
    environment, text: str | None, origins: set[str]
) -> None:
    environment(CLERK_ISSUER=ISSUER, CLERK_AUTHORIZED_PARTIES="https://app.example.com/")
    if text is not None:
        environment(CORS_ORIGINS=text)
    settings = Settings.from_environment()
    assert settings.page_origins == origins
    assert settings.clerk_authorized_parties == {"https://app.example.com"}


def test_pages_may_call_in_development_too(environment) -> None:
    environment(CORS_ORIGINS="http://localhost:5173")
    settings = Settings.from_environment()
    assert settings.development
    assert settings.page_origins == {"http://localhost:5173"}


@pytest.mark.parametrize("value", ["n", "no", "false", "0", ""])
def test_the_unsafe_switch_may_be_off(environment, value: str) -> None:
    environment(POSTGRES_ENABLE_DB_FUNCTIONS=value)
    Settings.from_environment()


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db", False)]
)
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("encoded", "front_end"),
    [
        (b"clerk.example.com$", "https://clerk.example.com"),
        (b"happy-cat-1.clerk.accounts.dev$", "https://happy-cat-1.clerk.accounts.dev"),
        (b"clerk.example.com", None),
        (b"clerk.example.com; script-src *$", None),
        (b"clerk.example.com/path$", None),
        (b"\xff$", None),
        (b"", None),
    ],
)
def test_the_publishable_key_names_one_host_or_is_refused(environment, encoded: bytes, front_end: str | None) -> None:
    # The host becomes a part of the pages' Content-Security-Policy.
    key = "pk_live_" + base64.b64encode(encoded).decode()
    environment(CLERK_ISSUER=ISSUER, CLERK_PUBLISHABLE_KEY=key)
    if front_end is None:
        with pytest.raises(SettingsError, match="CLERK_PUBLISHABLE_KEY must be Clerk's publishable key"):
            Settings.from_environment()
    else:
        settings = Settings.from_environment()
        assert (settings.clerk_front_end, settings.development) == (front_end, False)
        environment(CLERK_PUBLISHABLE_KEY=key.rstrip("="))
        assert Settings.from_environment().clerk_front_end == front_end
