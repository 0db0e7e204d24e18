"""The KafkaTopic resources are the topics that `parcours topics apply` makes."""

import re

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from agents.cli.main import parcours
from agents.kafka.strimzi import manifest, resource
from agents.kafka.topics import Wanted, wanted
from models.topics import Topics
from tests.deploy.accepting import ROOT

SHIPPED = ROOT / "deploy/strimzi/topics.yaml"
K8S_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def test_the_shipped_file_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(parcours, ["topics", "strimzi"], catch_exceptions=False)
    assert SHIPPED.read_text() == printed.output, "make it anew: parcours topics strimzi > deploy/strimzi/topics.yaml"


def test_it_holds_every_topic_as_it_is_made() -> None:
    plan = wanted(Topics("shop."), 12, journal_days=3)
    said = list(YAML(typ="safe").load_all(manifest(plan, "main")))
    assert [one["spec"]["topicName"] for one in said] == [one.name for one in plan]
    for one, topic in zip(said, plan, strict=True):
        assert one["spec"]["partitions"] == topic.partitions
        assert topic.configs.items() <= one["spec"]["config"].items()
        assert one["metadata"]["labels"] == {"strimzi.io/cluster": "main"}


@pytest.mark.parametrize("prefix", ["", "shop.", "Shop_1-", "_x.", "a__b"])
def test_names_are_those_that_kubernetes_takes_and_no_two_are_one(prefix: str) -> None:
    names = [resource(one, "main")["metadata"]["name"] for one in wanted(Topics(prefix), 8)]
    assert all(K8S_NAME.fullmatch(name) for name in names), names
    assert len(set(names)) == len(names)


def test_the_name_in_kafka_is_kept_whatever_kubernetes_takes() -> None:
    said = resource(Wanted("Shop_1-journal", 2), "main")
    assert said["metadata"]["name"] == "shop-1-journal"
    assert said["spec"]["topicName"] == "Shop_1-journal"
