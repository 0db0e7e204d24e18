"""`parcours run`: the embedded pipeline."""

import signal
import threading
from pathlib import Path
from typing import Any

import click

from agents.cli.folder import plan_folder
from pipeline.durations import parse_duration
from pipeline.errors import UsageError

IDLE_S = 0.05


def parse_speed(text: str) -> float | None:
    """Return how many times the wall clock log time may run; None for as fast as it goes."""
    if text == "max":
        return None
    if text == "live":
        return 1.0
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if speed <= 0:
        raise UsageError(f"--speed {text}: write max, live, or a factor as in 60x")
    return speed


def parse_settings(said: tuple[str, ...]) -> dict[str, str]:
    """Return KEY=VALUE pairs."""
    pairs = [one.partition("=") for one in said]
    wrong = [one for one, (key, sign, _) in zip(said, pairs, strict=True) if not key or not sign]
    if wrong:
        raise UsageError(f"--set {wrong[0]}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def parse_span(text: str, option: str) -> int:
    """Return a duration option in milliseconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder.")
@click.option("--input", "files", type=click.Path(path_type=Path), multiple=True, help="A file of history.")
@click.option("--mapping", "mappings", multiple=True, help="How the input before it is read.")
@click.option(
    "--plan", type=click.Path(path_type=Path), default=plan_folder, help="The folder of settings and scenarios."
)
@click.option("--speed", default="max", help="max, live, or 60x: how fast log time runs.")
@click.option("--until-end", is_flag=True, help="End when the inputs are read and every due timer has fired.")
@click.option("--advance", default="0s", help="How far past the last event the watermark moves at the end.")
@click.option("--no-console", is_flag=True, help="Serve no pages.")
@click.option("--console-port", default=8420, help="The console's port on 127.0.0.1.")
@click.option(
    "--console-settings",
    type=click.Path(path_type=Path),
    envvar="PARCOURS_CONSOLE_SETTINGS",
    help="A file with the console's address and login provider.",
)
@click.option("--collector-port", type=int, help="Take customers' clicks and wishes on this port of 127.0.0.1.")
@click.option("--set", "said", multiple=True, metavar="KEY=VALUE", help="A setting, over settings.yaml.")
@click.option("--products", type=click.Path(path_type=Path), multiple=True, help="A file of the catalogue.")
@click.option("--send", is_flag=True, help="Send through the store's relay instead of the outbox folder.")
@click.option("--shop", is_flag=True, help="Run on a simulated shop.")
def run(**said: Any) -> None:
    """Run the whole pipeline in one process: events in, messages out."""
    from agents.cli.session import Session

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    session = Session(
        data=said["data"],
        files=list(said["files"]),
        mappings=list(said["mappings"]),
        plan=said["plan"],
        speed=parse_speed(said["speed"]),
        until_end=said["until_end"],
        advance_ms=parse_span(said["advance"], "--advance"),
        overrides=parse_settings(said["said"]),
        send=said["send"],
        shop=said["shop"],
        console_port=None if said["no_console"] else said["console_port"],
        collector_port=said["collector_port"],
        console_settings=said["console_settings"],
        products=said["products"],
    )
    click.echo(session.run(stop))
