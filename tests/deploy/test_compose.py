"""The compose file: every command is one that `parcours` takes, every setting one that the code reads."""

from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from tests.deploy.accepting import ROOT, parse, unread

YAML_ = YAML(typ="safe")
COMPOSE: dict[str, Any] = YAML_.load(ROOT / "docker-compose.yml")
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = sorted(name for name, said in SERVICES.items() if str(said.get("image", "")).startswith("parcours"))


def test_there_is_a_service_for_each_kind_of_worker() -> None:
    kinds = {SERVICES[name]["command"][1] for name in OURS if SERVICES[name]["command"][0] == "worker"}
    worker = parse(["worker", "ingest"]).parent
    assert worker is not None and isinstance(worker.command, click.Group)
    assert kinds == set(worker.command.commands)


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_takes_every_command(name: str) -> None:
    context = parse(SERVICES[name]["command"])
    if SERVICES[name]["command"][0] == "worker":
        assert context.params["metrics_port"] == 9400, "Prometheus and the health check ask there"


def test_a_command_that_is_not_is_refused() -> None:
    with pytest.raises(click.UsageError):
        parse(["worker", "journeys", "--no-such-option"])
    with pytest.raises(click.UsageError):
        parse(["worker", "no-such-kind"])


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_read_by_the_code(name: str) -> None:
    assert unread(list(SERVICES[name]["environment"])) == []
    assert unread(["PARCOURS_NOBODY_READS_THIS"]) == ["PARCOURS_NOBODY_READS_THIS"]


@pytest.mark.parametrize("name", OURS)
def test_no_process_can_change_its_container(name: str) -> None:
    said = SERVICES[name]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_bound_to_this_machine() -> None:
    ports = [port for said in SERVICES.values() for port in said.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_two_workers_share_no_slot_and_no_volume() -> None:
    lines = [parse(SERVICES[name]["command"]) for name in OURS if name.startswith("journeys")]
    assert len({line.params["instance"] for line in lines}) == len(lines) == 2
    volumes = [SERVICES[name]["volumes"] for name in OURS if name.startswith("journeys")]
    assert volumes[0] != volumes[1]
    assert {one[0].split(":")[0] for one in volumes} <= set(COMPOSE["volumes"])


def test_prometheus_asks_every_worker() -> None:
    config = YAML_.load(ROOT / "deploy/prometheus/prometheus.yml")
    targets = [one for job in config["scrape_configs"] for said in job["static_configs"] for one in said["targets"]]
    assert sorted(targets) == sorted(f"{name}:9400" for name in OURS if SERVICES[name]["command"][0] == "worker")


def test_what_is_mounted_is_there() -> None:
    mounts = [one.split(":")[0] for said in SERVICES.values() for one in said.get("volumes", []) if one[0] == "."]
    assert mounts
    assert [one for one in mounts if not (ROOT / one).is_dir()] == []


def test_the_image_carries_what_the_commands_name() -> None:
    copied = [line.split()[-1] for line in Path(ROOT / "deploy/Dockerfile").read_text().splitlines() if "COPY" in line]
    named = {word for name in OURS for word in SERVICES[name]["command"] if word.startswith("/app/")}
    assert named == {"/app/scenarios", "/app/deploy/sources.yaml"}
    assert {word.removeprefix("/app/") for word in named} <= set(copied)
