"""Our topics as Strimzi's KafkaTopic resources, for a cluster whose topics an operator of Kubernetes keeps."""

import io
import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML

from agents.kafka.topics import COPIES, Wanted

API = "kafka.strimzi.io/v1"
# With three copies a write waits for two: the loss of one broker loses nothing and stops nothing.
IN_SYNC = 2
HEAD = """\
# Our topics for Strimzi's topic operator: `parcours topics strimzi` prints them, for any number of partitions.
# The partition counts never change: a customer's place depends on them.
"""


def resource(one: Wanted, cluster: str) -> dict[str, Any]:
    """Return one topic's resource; its name in Kubernetes may differ from that in Kafka, which stands in the spec."""
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": {
            "name": re.sub(r"[^a-z0-9.-]+", "-", one.name.lower()).strip("-."),
            "labels": {"strimzi.io/cluster": cluster},
        },
        "spec": {
            "topicName": one.name,
            "partitions": one.partitions,
            "replicas": COPIES,
            "config": {**one.configs, "min.insync.replicas": str(IN_SYNC)},
        },
    }


def manifest(topics: Sequence[Wanted], cluster: str) -> str:
    """Return the resources of some topics as one YAML text; `cluster` is the Kafka resource that they belong to."""
    yaml, out = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.explicit_start = True
    yaml.dump_all([resource(one, cluster) for one in topics], out)
    return HEAD + out.getvalue()
