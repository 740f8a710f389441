"""`preferences serve`: one command that sets up everything and serves."""

import asyncio
import errno
import math
import os
import shlex
import socket
import time
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Annotated, Final, cast

import typer

from api import bootstrap
from api.command_line.companion import Companion
from api.command_line.console import notes
from api.command_line.ending import exit_on_signal, ignore_further_signals

STOP_WITHIN: Final = 22
"""Seconds after SIGTERM for serving new requests (setting DRAIN) and then finishing open ones. With the `GRACE` of a companion, which
comes after it, this is less than the 30 s that supervisors usually wait."""

LISTEN_WITHIN: Final = 2.0
"""Seconds to wait for the port. The workers of a server that was killed release it within this time."""

WORKER_SILENT_FOR: Final = 30
"""Seconds after which a worker that doesn't answer its master is replaced. A worker answers only when its modules are imported, which takes
this long on a machine without a free core, or in a container with a CPU limit. With uvicorn's 5 s, no worker would ever start there."""

ALWAYS: Final = -(10**12)
"""Seconds. uvicorn offers the call of each second, and skips it if its wall clock has advanced by no more than this since the last call.
A clock that was set back has not advanced, and without the call no time limit of a connection would hold."""

BACKLOG: Final = 2048

COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder in which prometheus-client keeps the counts of several processes. The library has no
other way to set it."""

MEMORY: Final = "/dev/shm"  # noqa: S108 - Linux's own name for it


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (setting HOST, default 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on, 0 for any (setting PORT, default 8000).", min=0, max=65535)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes (setting WEB_CONCURRENCY, default 1).", min=1, max=64)
    ] = None,
) -> None:
    """Serve the API. Without DATABASE_URL, start and migrate an embedded PostgreSQL first."""
    _forget_the_counts_of_others()
    # Imported only here: they import the web server and the framework, which no other command needs, and prometheus-client, which
    # looks for its folder on import.
    import uvicorn

    from api.command_line.patient_server import PatientMultiprocess, PatientServer
    from api.server.patience import Limits
    from api.server.serving import Serving

    # Options win over the environment. Worker processes get both through the environment.
    for name, value in (("HOST", host), ("PORT", port), ("WEB_CONCURRENCY", workers)):
        if value is not None:
            os.environ[name] = str(value)
    settings = bootstrap.settings()
    bootstrap.identities.signing_keys(
        settings
    )  # Unusable keys fail here with one sentence, instead of a worker that can't start.
    bootstrap.unsubscribing.link_keys(settings)
    bootstrap.configure_logs(settings)
    exit_on_signal()  # So that the database is stopped after the server, whenever the signal comes.
    listener = _listen(settings.host, settings.port)
    with listener, bootstrap.databases.migrated_database(settings, serving=True) as url, ExitStack() as beside:
        os.environ["DATABASE_URL"] = url
        if settings.followers:
            beside.enter_context(Companion("follow"))
        alone = settings.web_concurrency == 1
        if not alone:
            os.environ[COUNTS] = beside.enter_context(_folder_of_counts())
        limits = Limits(settings.header_limit, settings.header_within, settings.body_within, settings.keep_alive)
        serving = Serving(limits, drain_seconds=settings.drain)
        config = uvicorn.Config(
            "api.bootstrap.service:create_app" if alone else "api.bootstrap.worker:create_worker",
            factory=True,
            workers=settings.web_concurrency,
            http=cast("type[asyncio.Protocol]", serving),
            callback_notify=serving.each_second,
            timeout_notify=ALWAYS,
            loop="api.server.serving_loop:ServingLoop",
            ws="none",
            lifespan="on",
            backlog=BACKLOG,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # Nothing here uses the caller's address.
            timeout_worker_healthcheck=WORKER_SILENT_FOR,
            timeout_graceful_shutdown=math.ceil(STOP_WITHIN - settings.drain),
        )
        bound = listener.getsockname()[1]
        for_people = settings.public_url or _base(settings.loopback, bound)
        if settings.development:
            os.environ["PUBLIC_URL"] = for_people
        _greet(settings, _base(settings.host, bound), for_people)
        server = PatientServer(config)
        if alone:
            server.run(sockets=[listener])
        else:
            PatientMultiprocess(config, sockets=[listener]).run()
            ignore_further_signals()
    if alone and not server.started:
        raise typer.Exit(1)


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound before anything else is started. So a port in use fails early, with one sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    patience = time.monotonic() + LISTEN_WITHIN
    while True:
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < patience:
                time.sleep(0.05)
                continue
            listener.close()
            raise OSError(f"can't listen on {host} port {port}: {error.strerror}") from None
        listener.set_inheritable(True)
        return listener


def _forget_the_counts_of_others() -> None:
    """Drop an inherited folder of counts. It belongs to another program or to a server that has ended.

    With it, this server would report foreign counts, and its own counts would outlive it. If the folder didn't exist, the server
    couldn't start. The library also reads the name in lower case.
    """
    for name in (COUNTS, COUNTS.lower()):
        os.environ.pop(name, None)


def _folder_of_counts() -> TemporaryDirectory[str]:
    """The folder through which the workers share their counts. It is in memory if possible: a process that writes to a mapped file
    dies if the disk is full."""
    in_memory = os.access(MEMORY, os.W_OK)
    return TemporaryDirectory(prefix="preferences-metrics-", dir=MEMORY if in_memory else None)


def _base(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greet(settings: "bootstrap.Settings", base: str, for_people: str) -> None:
    notes.print(f"[bold]Notification preferences[/] on {base} — documentation: {base}/docs")
    if not settings.development:
        return
    token = bootstrap.identities.development_token(settings, "user_demo", "org_demo", "admin", lifetime=24 * 3600)
    url = shlex.quote(f"{for_people}/v1/me/notifications")
    reach = (
        f"Listening on {settings.host}, because DEVELOPMENT_IN_CONTAINER is on: publish the port on 127.0.0.1 only."
        if settings.development_in_container
        else "Listening on loopback only."
    )
    notes.print(
        "[bold yellow]DEVELOPMENT MODE:[/] no CLERK_ISSUER is set, so `preferences token` makes a token for any user. "
        + reach
    )
    notes.print(f"\n[bold]Open {for_people}/preferences[/] and sign in as any user.")
    notes.print("\nOr try the API: a token that is valid for a day, and the two requests that matter.\n")
    typer.echo(
        f"TOKEN={token}\n"
        f'curl -H "Authorization: Bearer $TOKEN" {url}\n'
        f'curl -X PATCH -H "Authorization: Bearer $TOKEN" -d \'{{"email": {{"weekly_usage_digest": true}}}}\' {url}\n'
    )
