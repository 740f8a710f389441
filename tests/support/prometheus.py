"""A real Prometheus, with the rules of `deploy/`, that scrapes servers of a test."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from tests.support.counterparts import counterpart
from tests.support.eventually import until
from tests.support.ports import free_port
from tests.support.promql import ALERTS

SENTENCE = "Prometheus isn't there: install Debian's prometheus"
INTERVAL = "1s"


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> Any:
        response = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of the answer, at this moment."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def alerts(self) -> dict[str, Any]:
        """Those that fire, or will soon, by their name."""
        return {alert["labels"]["alertname"]: alert for alert in self.get("alerts")["alerts"]}


@contextmanager
def scraping(folder: Path, *servers: str) -> Iterator[Prometheus]:
    """Scrapes and evaluates every second. Alarms that wait for minutes wait for a second."""
    program = counterpart("prometheus", SENTENCE)
    folder.mkdir(parents=True, exist_ok=True)
    hasty = re.sub(r"^(\s+for: )(\d+)[mhd]$", r"\g<1>1s", ALERTS.read_text(), flags=re.MULTILINE)
    (folder / "alerts.yml").write_text(hasty)
    configuration = {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL, "scrape_timeout": INTERVAL},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {"job_name": "preferences", "static_configs": [{"targets": [urlsplit(url).netloc for url in servers]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _ready(url) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
