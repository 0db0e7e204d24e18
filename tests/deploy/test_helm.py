"""The chart: linted and rendered by helm, held against Kubernetes' schemas and our own command line."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from tests.deploy.accepting import ROOT, parse, unread

CHART = ROOT / "deploy/helm/parcours"
HELM = shutil.which("helm", path=f"{ROOT / '.cache/bin'}{os.pathsep}{os.environ['PATH']}")
VERSIONS = ("1.27.0", "1.31.0", "1.34.0")
OAUTH = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka/password"}
EVERYTHING = {
    "prefix": "shop.",
    "image": {"repository": "registry.example/parcours", "tag": "1"},
    "imagePullSecrets": [{"name": "pull"}],
    "kafka": {"bootstrap": "a:9093,b:9093", "secretName": "kafka", "environment": OAUTH},
    "providersSecretName": "providers",
    "plan": {"path": "/app/scenarios", "volume": {"persistentVolumeClaim": {"claimName": "scenarios"}}},
    "collector": {"enabled": True, "proxies": ["10.0.0.1"]},
    "projector": {"enabled": True},
    "console": {"enabled": True},
    "journeys": {"replicas": 4, "storageClass": "fast"},
    "senders": {
        "email": {"replicas": 2, "arguments": ["--smtp", "smtp://relay:25", "--starttls"]},
        "sms": {"replicas": 0, "arguments": []},
    },
    "keda": {"enabled": True, "maxReplicas": 20},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
}
pytestmark = pytest.mark.skipif(HELM is None, reason="no helm: `make tools` builds one where there is Go")


@cache
def _rendered(values: str) -> str:
    words = [str(HELM), "template", "shop", str(CHART), "--kube-version", VERSIONS[-1], "--values", "-"]
    done = subprocess.run(words, input=values, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in YAML(typ="safe").load_all(_rendered(json.dumps(values))) if one]


def of(kind: str, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in render(values) if one["kind"] == kind}


def pods(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    workloads = [one for one in render(values) if one["kind"] in {"Deployment", "StatefulSet", "Job"}]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in workloads}


ALL = pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["as shipped", "with everything"])


def test_helm_finds_no_fault() -> None:
    words = [str(HELM), "lint", "--strict", str(CHART)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@ALL
@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_resource(values: dict[str, Any], version: str) -> None:
    known = [one for one in render(values) if not one["apiVersion"].startswith("keda.sh/")]
    assert len(known) >= 10
    for one in known:
        kubernetes_validate.validate(one, version, strict=True)


def test_a_resource_with_a_wrong_field_is_refused() -> None:
    wrong = of("StatefulSet", {})["shop-journeys"]
    changed = {**wrong, "spec": {**wrong["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(changed, VERSIONS[0], strict=True)


@ALL
def test_the_command_line_takes_every_command(values: dict[str, Any]) -> None:
    for name, pod in pods(values).items():
        given = {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}
        with patch.dict(os.environ, given):
            context = parse(pod["containers"][0]["args"])
        assert context.params["prefix"] == values.get("prefix", "")
        if context.command.name != "apply":
            assert context.params["metrics_port"] == 9400, name


@ALL
def test_every_setting_is_read_by_the_code(values: dict[str, Any]) -> None:
    for pod in pods(values).values():
        assert unread([one["name"] for one in pod["containers"][0]["env"]]) == []


@ALL
def test_no_process_can_change_its_container_or_speak_to_kubernetes(values: dict[str, Any]) -> None:
    for pod in pods(values).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            said = container["securityContext"]
            assert said["readOnlyRootFilesystem"] is True
            assert said["allowPrivilegeEscalation"] is False
            assert said["capabilities"] == {"drop": ["ALL"]}


@ALL
def test_every_mount_has_its_volume_and_secrets_come_as_files(values: dict[str, Any]) -> None:
    claims = {"shop-journeys": {"data"}, "shop-console": {"data"}}
    for name, pod in pods(values).items():
        volumes = {one["name"] for one in pod["volumes"]} | claims.get(name, set())
        mounts = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
        assert mounts == volumes, name
        kept = [one["name"] for one in pod["containers"][0]["env"] if "secretKeyRef" in json.dumps(one)]
        assert kept == []


@ALL
def test_workers_are_asked_whether_they_live_and_work(values: dict[str, Any]) -> None:
    for name, pod in pods(values).items():
        container = pod["containers"][0]
        if name.endswith("-topics"):
            continue
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
        assert {"name": "metrics", "containerPort": 9400} in container["ports"]


@ALL
def test_selectors_find_their_own_pods_alone(values: dict[str, Any]) -> None:
    rendered = render(values)
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in rendered
        if one["kind"] in {"Deployment", "StatefulSet"}
    }
    for one in rendered:
        if one["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}:
            wanted = one["spec"]["selector"]["matchLabels"].items()
            found = [name for name, said in labels.items() if wanted <= said.items()]
            assert found == [one["metadata"]["name"]]
    assert set(of("PodDisruptionBudget", values)) == set(labels)


def test_a_journeys_worker_keeps_its_name_and_its_volume() -> None:
    said = of("StatefulSet", EVERYTHING)["shop-journeys"]["spec"]
    words = said["template"]["spec"]["containers"][0]["args"]
    assert words[words.index("--instance") + 1] == "$(POD_NAME)"
    assert said["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    assert said["replicas"] == 4


def test_senders_are_scaled_by_the_rate_of_their_channel_and_never_beyond_the_partitions() -> None:
    found = of("ScaledObject", EVERYTHING)
    assert set(found) == {"shop-sender-email", "shop-sender-sms"}
    email = found["shop-sender-email"]["spec"]
    assert email["scaleTargetRef"] == {"name": "shop-sender-email"}
    assert (email["minReplicaCount"], email["maxReplicaCount"]) == (2, 8)
    assert 'parcours_commands_total{channel="email"}' in email["triggers"][0]["metadata"]["query"]
    assert "replicas" not in of("Deployment", EVERYTHING)["shop-sender-email"]["spec"], "KEDA sets them"


def test_metrics_are_read_and_kafka_is_reached_and_nothing_else_by_journeys() -> None:
    workers = of("NetworkPolicy", EVERYTHING)["shop-workers"]["spec"]
    assert {port["port"] for rule in workers["ingress"] for port in rule["ports"]} == {9400}
    assert {port["port"] for rule in workers["egress"] for port in rule["ports"]} == {53, 9092, 9093, 9094}
    senders = of("NetworkPolicy", EVERYTHING)["shop-senders"]["spec"]
    assert senders["podSelector"]["matchExpressions"][0]["values"] == ["collector", "sender-email", "sender-sms"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"journeys": {"replicas": 9}}, "journeys.replicas is above topics.partitions"),
        ({"senders": {"pigeon": {"replicas": 1}}}, "pigeon"),
        ({"kafka": {"bootstrap": "kafka"}}, "bootstrap"),
        ({"secretName": ""}, "secretName"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], said: str) -> None:
    words = [str(HELM), "template", "shop", str(CHART), "--kube-version", VERSIONS[-1], "--values", "-"]
    done = subprocess.run(words, input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_shipped_sources_are_those_of_the_chart() -> None:
    yaml = YAML(typ="safe")
    shipped = yaml.load(ROOT / "deploy/sources.yaml")["sources"]
    assert yaml.load(Path(CHART / "values.yaml"))["sources"] == shipped
