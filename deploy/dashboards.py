"""Makes the three Grafana dashboards: `python -m deploy.dashboards` writes them beside this file.

A panel is its title, its unit and its queries; everything else is the same for all. The names of the metrics are those
of docs/reference/metrics.md, and the tests ask every query of a Prometheus that scrapes a real run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).parent / "grafana/dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="parcours-prometheus")
COLUMNS = 24
HEIGHT = 7
STAT_HEIGHT = 4


@dataclass(frozen=True)
class Panel:
    """`queries` are (legend, PromQL); `number` shows the last figure in place of a curve. `unit` is Grafana's name."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    says: str
    number: bool = False


def number(title: str, unit: str, query: str, says: str) -> Panel:
    """One figure."""
    return Panel(title, unit, ((title, query),), says, number=True)


def curves(title: str, unit: str, legend: str, query: str, says: str) -> Panel:
    """One query's curves."""
    return Panel(title, unit, ((legend, query),), says)


def quantiles(title: str, metric: str, says: str) -> Panel:
    """Median and p99 of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket[5m]))"
    queries = tuple((name, f"histogram_quantile({part}, {rate})") for name, part in (("p50", 0.5), ("p99", 0.99)))
    return Panel(title, "s", queries, says)


UNACCOUNTED = (
    'sum(parcours_partition_events{state="in"})'
    ' - sum(parcours_partition_events{state=~"applied|duplicate|dead_lettered"})'
)
OPERATOR = (
    number(
        "Lag of the watermark", "s", "max(time() - parcours_source_ticked_seconds)", "Of the source that is furthest"
    ),
    number("Events not accounted for", "short", UNACCOUNTED, "The ledger of all partitions: 0 when it is closed"),
    number(
        "Partitions not open",
        "short",
        "sum(parcours_partitions_assigned) - sum(parcours_partitions_open)",
        "Given to a worker that has not opened them",
    ),
    number("Dead letters, an hour", "short", "sum(increase(parcours_dead_letters_total[1h]))", "Unusable records"),
    curves(
        "Lag by source",
        "s",
        "{{source}}",
        "max by (source) (time() - parcours_source_ticked_seconds)",
        "Timers wait for the highest. A source's declared delay is part of it",
    ),
    curves(
        "Records read",
        "ops",
        "{{source}}",
        "sum by (source) (rate(parcours_ingest_records_total[5m]))",
        "Source records a second",
    ),
    quantiles("Event to command", "parcours_command_latency_seconds", "Arrival of the event to commit of its command"),
    quantiles("Lateness of timers", "parcours_timer_lateness_seconds", "The worst of each commit with due timers"),
    quantiles("Commits", "parcours_commit_seconds", "One transaction and the local write after it"),
    curves(
        "Events applied",
        "ops",
        "partition {{partition}}",
        'rate(parcours_partition_events{state="applied"}[5m])',
        "Events a second by journal partition",
    ),
    curves("Opening a partition", "s", "partition {{partition}}", "parcours_restore_seconds", "The last opening"),
    curves(
        "Dead letters",
        "ops",
        "{{stage}}",
        "sum by (stage) (rate(parcours_dead_letters_total[5m]))",
        "intake: not mapped or not valid; engine: a step raised",
    ),
)
SCENARIOS = (
    number("Commands, an hour", "short", "sum(increase(parcours_commands_total[1h]))", "Messages decided on"),
    number(
        "Entered, an hour",
        "short",
        'sum(increase(parcours_decisions_total{outcome="entered"}[1h]))',
        "Passages that began",
    ),
    curves(
        "Commands",
        "short",
        "{{scenario}}",
        "sum by (scenario) (increase(parcours_commands_total[1h]))",
        "Within an hour, by scenario",
    ),
    curves(
        "Entries",
        "short",
        "{{scenario}}",
        'sum by (scenario) (increase(parcours_decisions_total{outcome="entered"}[1h]))',
        "Within an hour, by scenario",
    ),
    curves(
        "Decisions",
        "short",
        "{{outcome}}",
        "sum by (outcome) (increase(parcours_decisions_total[1h]))",
        "What became of whom: entered, sent, suppressed, exited, goal and others",
    ),
    curves(
        "Commands for each entry",
        "short",
        "{{scenario}}",
        "sum by (scenario) (increase(parcours_commands_total[1h]))"
        ' / (sum by (scenario) (increase(parcours_decisions_total{outcome="entered"}[1h])) > 0)',
        "How many messages a passage leads to",
    ),
)
SENDERS = (
    number("Providers in trouble", "short", "sum(parcours_breaker_open)", "Left alone by their breaker"),
    number("Held", "short", "sum(parcours_commands_held)", "Wait: catching up, braked or paused"),
    number("Sent, an hour", "short", 'sum(increase(parcours_receipts_total{state="sent"}[1h]))', "Taken by a provider"),
    curves(
        "Ends of commands",
        "ops",
        "{{channel}} {{state}}",
        'sum by (channel, state) (rate(parcours_receipts_total{state!="intent"}[5m]))',
        "Receipts a second by channel and state",
    ),
    curves(
        "Breakers",
        "short",
        "{{provider}} ({{channel}})",
        "max by (channel, provider) (parcours_breaker_open)",
        "1: open",
    ),
    curves(
        "Held by channel", "short", "{{channel}}", "sum by (channel) (parcours_commands_held)", "Commands that wait"
    ),
    curves(
        "Bounces and complaints",
        "short",
        "{{type}}",
        'sum by (type) (increase(parcours_collector_heard_total{type=~"message_bounced|message_complained"}[1h]))',
        "Within an hour, as providers told the collector",
    ),
    curves(
        "Partitions open", "short", "{{worker}}", "sum by (worker) (parcours_partitions_open)", "Over all processes"
    ),
)
DASHBOARDS = {"operator": OPERATOR, "scenarios": SCENARIOS, "senders": SENDERS}


def build(name: str) -> str:
    """Return a dashboard as JSON: figures in the first row, curves two in a row below."""
    board = dashboard.Dashboard(f"Parcours: {name}").uid(f"parcours-{name}").tags(["parcours"]).refresh("30s")
    board.time("now-6h", "now").timezone("browser")
    panels = DASHBOARDS[name]
    numbers = [one for one in panels if one.number]
    for one in numbers:
        board.with_panel(_drawn(one, len(numbers), STAT_HEIGHT))
    for one in (one for one in panels if not one.number):
        board.with_panel(_drawn(one, 2, HEIGHT))
    said = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    return json.dumps(_without_none(said), indent=1, sort_keys=True) + "\n"


def _without_none(said: Any) -> Any:
    """What the library leaves open is left out: a page that merges defaults takes `null` for an answer."""
    if isinstance(said, dict):
        return {key: _without_none(value) for key, value in said.items() if value is not None}
    return [_without_none(one) for one in said] if isinstance(said, list) else said


def _drawn(panel: Panel, across: int, height: int) -> stat.Panel | timeseries.Panel:
    drawn = stat.Panel() if panel.number else timeseries.Panel()
    drawn.title(panel.title).description(panel.says).unit(panel.unit).datasource(SOURCE)
    # The library puts panels in rows, left to right: width and height are enough.
    drawn.span(COLUMNS // across).height(height)
    for letter, (legend, query) in zip("ABCDEF", panel.queries, strict=False):
        drawn.with_target(prometheus.Dataquery().expr(query).legend_format(legend).ref_id(letter).datasource(SOURCE))
    return drawn


def main() -> None:
    """Write all three."""
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(build(name))


if __name__ == "__main__":
    main()
