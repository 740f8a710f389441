"""The manifests for Kubernetes: valid, restricted, and in step with the service."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.command_line.commands import CLI
from api.command_line.companion import GRACE
from api.command_line.serve import STOP_WITHIN
from infrastructure.settings import Settings, SettingsError
from tests.support.containerfile import ROOT, stages
from tests.support.manifests import FOLDER, applied, containers, environment, everything, pod

VERSION = "1.34"
"""The Kubernetes that the manifests are held to, and docs/deploy.md names."""

ALL = everything()
WORKLOADS = [one for one in ALL if one["kind"] in {"Deployment", "Job"}]
CONTAINERS = [(one, container) for one in WORKLOADS for container in containers(one)]
OURS = [(one, container) for one, container in CONTAINERS if container["image"] == "notification-preferences"]


def named(one: Any) -> str:
    return one["metadata"]["name"] if isinstance(one, dict) and "metadata" in one else str(one)


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [one for one in ALL if one["kind"] in kinds]


def label(one: dict[str, Any]) -> str:
    return one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]


# Valid


@pytest.mark.parametrize(
    "manifest", [one for one in ALL if one["kind"] != "Kustomization"], ids=lambda one: f"{one['kind']} {named(one)}"
)
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_field_that_does_not_exist_would_be_found() -> None:
    """The control."""
    [deployment] = [one for one in ALL if named(one) == "preferences-server" and one["kind"] == "Deployment"]
    wrong = json.loads(json.dumps(deployment))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 30
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_page_names_the_version() -> None:
    assert f"Kubernetes {VERSION}" in (ROOT / "docs/deploy.md").read_text()


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "migration"], ids=lambda folder: folder.name)
def test_each_file_is_applied_except_the_example(folder: Path) -> None:
    files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
    assert set(yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]) == files


# Restricted: the Pod Security Standard of that name, which the namespace enforces


@pytest.mark.parametrize(("workload", "container"), CONTAINERS, ids=named)
def test_a_container_keeps_to_the_restricted_profile(workload: dict[str, Any], container: dict[str, Any]) -> None:
    of_pod, own = pod(workload)["securityContext"], container["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(workload))
    kinds = {kind for volume in pod(workload).get("volumes", []) for kind in volume} - {"name"}
    assert kinds <= {"configMap", "persistentVolumeClaim", "emptyDir", "secret"}
    # And beyond the profile:
    assert pod(workload)["automountServiceAccountToken"] is False
    # or each Service of the namespace would add variables, which might be taken for settings.
    assert pod(workload)["enableServiceLinks"] is False
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize(("workload", "container"), OURS, ids=named)
def test_it_runs_as_the_account_of_the_image(workload: dict[str, Any], container: dict[str, Any]) -> None:
    account = pod(workload)["securityContext"]
    final = stages((ROOT / "Containerfile").read_text())[-1]
    assert f"{account['runAsUser']}:{account['runAsGroup']}" == final.last("USER").value


# In step with the service


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch):
    def load(variables: dict[str, str]) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in {"HOST": "0.0.0.0", **variables}.items():
            monkeypatch.setenv(name, value)
        return Settings.from_environment()

    return load


KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
FILLED_IN = {"AUDIT_SIGNING_KEY": KEY, "UNSUBSCRIBE_KEYS": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}


@pytest.mark.parametrize(("workload", "container"), OURS, ids=named)
def test_each_variable_is_a_setting_that_the_service_takes(loaded, workload, container) -> None:
    given = environment(container)
    assert {name for name in given if name.lower() not in Settings.model_fields} == set()
    settings = loaded({**given, **{name: value for name, value in FILLED_IN.items() if name in given}})
    # The migration listens on nothing, so it needs no issuer.
    assert settings.development is (label(workload) == "preferences-migrate")


def test_an_example_that_was_not_filled_in_is_refused(loaded) -> None:
    refused = set()
    for workload, container in OURS:
        try:
            loaded(environment(container))
        except SettingsError:
            refused.add(label(workload))
    assert refused == {"preferences-server", "preferences-followers"}


def test_each_has_only_the_secrets_that_it_needs() -> None:
    held = {label(one): set(environment(container)) for one, container in OURS}
    secret = {"AUDIT_SIGNING_KEY", "UNSUBSCRIBE_KEYS"}
    assert {name: variables & secret for name, variables in held.items()} == {
        "preferences-server": {"UNSUBSCRIBE_KEYS"},
        "preferences-followers": {"AUDIT_SIGNING_KEY"},
        "preferences-relay": set(),
        "preferences-migrate": set(),
    }
    owner = {label(one) for one, container in OURS if "preferences_owner" in environment(container)["DATABASE_URL"]}
    assert owner == {"preferences-migrate"}


def test_a_command_exists() -> None:
    assert {container["args"][0] for _, container in OURS} == {"serve", "follow", "relay", "migrate"}
    assert {container["args"][0] for _, container in OURS} <= set(CLI.commands)


def probes() -> Iterator[tuple[str, dict[str, Any]]]:
    for _, container in OURS:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind in container:
                yield kind, container[kind]


@pytest.mark.parametrize(("kind", "probe"), [*probes()], ids=str)
def test_a_probe_asks_what_the_service_answers(kind: str, probe: dict[str, Any]) -> None:
    paths = json.loads((ROOT / "tests/golden/openapi.json").read_text())["paths"]
    asked = probe["httpGet"]["path"]
    assert asked in paths
    # A database that is away must not restart the pods.
    assert (asked == "/readyz") is (kind == "readinessProbe")


def test_only_the_server_has_probes_and_it_has_all_three() -> None:
    assert [kind for kind, _ in probes()] == ["startupProbe", "livenessProbe", "readinessProbe"]


def test_a_pod_has_the_time_to_drain(loaded) -> None:
    by_name = {label(one): one for one in WORKLOADS}
    server = by_name["preferences-server"]
    assert pod(server)["terminationGracePeriodSeconds"] >= STOP_WITHIN + 5
    for name in ("preferences-followers", "preferences-relay"):
        assert pod(by_name[name])["terminationGracePeriodSeconds"] >= GRACE
    [container] = containers(server)
    settings = loaded({**environment(container), **{k: v for k, v in FILLED_IN.items() if k == "UNSUBSCRIBE_KEYS"}})
    readiness = container["readinessProbe"]
    # It serves on until the pod is out of rotation, by the probe too.
    assert settings.drain > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert settings.drain < STOP_WITHIN


# In step with each other


def test_what_selects_pods_finds_some() -> None:
    labels = {label(one) for one in WORKLOADS}
    for one in of_kind("Deployment"):
        assert one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == label(one)
    for one in of_kind("PodDisruptionBudget"):
        assert one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in labels
    for one in of_kind("Service"):
        assert one["spec"]["selector"]["app.kubernetes.io/name"] in labels
    for one in of_kind("HorizontalPodAutoscaler"):
        assert one["spec"]["scaleTargetRef"]["name"] in {named(each) for each in of_kind("Deployment")}
    selected = set()
    for one in of_kind("NetworkPolicy"):
        selector = one["spec"]["podSelector"]
        selected |= {selector.get("matchLabels", {}).get("app.kubernetes.io/name")} - {None}
        selected |= {value for each in selector.get("matchExpressions", []) for value in each["values"]}
    assert selected == labels


def test_all_traffic_is_forbidden_that_no_policy_allows() -> None:
    [nothing] = [
        one for one in of_kind("NetworkPolicy") if one["spec"]["podSelector"] == {} and "egress" not in one["spec"]
    ]
    assert nothing["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_port_is_the_images_and_prometheus_is_told_it() -> None:
    final = stages((ROOT / "Containerfile").read_text())[-1]
    port = int(final.last("EXPOSE").value)
    [server] = [one for one in of_kind("Deployment") if label(one) == "preferences-server"]
    assert containers(server)[0]["ports"] == [{"name": "http", "containerPort": port}]
    assert server["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    [policy] = [one for one in of_kind("NetworkPolicy") if named(one) == "server"]
    assert policy["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]


def test_the_number_of_pods_is_the_autoscalers() -> None:
    [server] = [one for one in of_kind("Deployment") if label(one) == "preferences-server"]
    assert "replicas" not in server["spec"]


def test_the_public_reaches_what_the_page_on_proxies_names() -> None:
    page = (ROOT / "docs/proxies.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith("| what is public")]
    named_there = set(re.findall(r"`(/[^`]*)`", row)) - {"/healthz", "/readyz", "/metrics"}
    paths = {path for ingress in of_kind("Ingress") for path in paths_of(ingress)}
    assert paths == named_there


def paths_of(ingress: dict[str, Any]) -> set[str]:
    return {path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}


def test_no_access_log_has_the_unsubscribe_links_and_all_other_paths_are_logged() -> None:
    unlogged = {
        path
        for ingress in of_kind("Ingress")
        if ingress["metadata"]["annotations"].get("nginx.ingress.kubernetes.io/enable-access-log") == "false"
        for path in paths_of(ingress)
    }
    assert unlogged == {"/unsubscribe/"}
    # All are of one host, with one certificate.
    hosts = [
        (ingress["spec"]["tls"], {rule["host"] for rule in ingress["spec"]["rules"]}) for ingress in of_kind("Ingress")
    ]
    assert all(each == hosts[0] for each in hosts)


def test_the_kustomizations_set_the_image_of_every_container() -> None:
    for folder in (FOLDER, FOLDER / "migration"):
        images = {one["name"] for one in yaml.safe_load((folder / "kustomization.yaml").read_text())["images"]}
        used = {c["image"] for one in applied(folder) if one["kind"] in {"Deployment", "Job"} for c in containers(one)}
        assert images == used
