"""The manifests of deploy/kubernetes, as kubectl applies them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.containerfile import ROOT

FOLDER = ROOT / "deploy/kubernetes"


def manifests(*files: Path) -> Iterator[dict[str, Any]]:
    for file in files:
        yield from filter(None, yaml.safe_load_all(file.read_text()))


def applied(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """What the kustomization of a folder names."""
    described = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return list(manifests(*(folder / name for name in described["resources"])))


def everything() -> list[dict[str, Any]]:
    return [*applied(), *applied(FOLDER / "migration"), *manifests(FOLDER / "secrets.example.yaml")]


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["template"]["spec"]


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(manifest).get("initContainers", []), *pod(manifest)["containers"]]


def environment(container: dict[str, Any]) -> dict[str, str]:
    """The variables of a container: those of the maps and secrets that it names, and then its own."""
    held = {
        (one["kind"], one["metadata"]["name"]): {**one.get("data", {}), **one.get("stringData", {})}
        for one in everything()
        if one["kind"] in {"ConfigMap", "Secret"}
    }
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        [(kind, reference)] = source.items()
        found |= held["ConfigMap" if kind == "configMapRef" else "Secret", reference["name"]]
    for one in container.get("env", []):
        if "value" in one:
            found[one["name"]] = one["value"]
        else:
            reference = one["valueFrom"]["secretKeyRef"]
            found[one["name"]] = held["Secret", reference["name"]][reference["key"]]
    return found


def pod_environment(file: str, deployment: str) -> dict[str, str]:
    [found] = [
        one for one in manifests(FOLDER / file) if (one["kind"], one["metadata"]["name"]) == ("Deployment", deployment)
    ]
    return environment(containers(found)[0])
