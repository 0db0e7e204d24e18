"""`parcours preview` and `parcours send-test`: a message before it goes to anybody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from agents.cli.folder import plan_folder
from pipeline.errors import UsageError
from pipeline.sending.outcome import Message

DESKTOP_PX, PHONE_PX = 680, 380


def looking(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which message is meant, and whose."""
    options = [
        click.argument("scenario"),
        click.option("--step", required=True, help="The send."),
        click.option("--plan", type=click.Path(path_type=Path), default=plan_folder, help="The folder of the plan."),
        click.option("--as", "customer", help="A customer of a data folder; else the one of the scenario's tests."),
        click.option("--data", type=click.Path(path_type=Path), default=Path(".parcours"), help="The data folder."),
        click.option("--language", help="Another language than the customer's."),
        click.option("--products", type=click.Path(path_type=Path), multiple=True, help="A catalogue's file."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def look(said: dict[str, Any]) -> Message:
    """Return the message that the options mean; say on stderr for whom it was made."""
    from pipeline.runtime.reading import DataFolder
    from pipeline.sending.catalogue_files import FileGoods, in_folder
    from pipeline.sending.preview import Previewer

    previewer, names = Previewer(said["plan"]), (said["scenario"], said["step"])
    previewer.find(*names)
    if said["customer"] is None:
        sample = previewer.from_tests(*names)
    else:
        folder = DataFolder(said["data"])
        try:
            state = folder.state(said["customer"])
        finally:
            folder.close()
        if state is None:
            raise UsageError(f"customer {said['customer']!r} is not known in {said['data']}")
        sample = previewer.of_customer(*names, state)
    click.echo(f"as {sample.about}", err=True)
    if sample.missing:
        click.echo(f"not there, and left out: {', '.join(sample.missing)}", err=True)
    goods = FileGoods(said["products"] or in_folder(said["data"]), lambda text: click.echo(text, err=True))
    return previewer.render(sample, goods, said["language"])


@click.command()
@looking
@click.option("--out", type=click.Path(path_type=Path), help="Write the HTML, the text and pictures into this folder.")
def preview(out: Path | None, **said: Any) -> None:
    """Show a message as it would be now; sends nothing."""
    from pipeline.sending.preview import doubts

    message = look(said)
    for doubt in doubts(message):
        click.echo(f"warning: {doubt}", err=True)
    if out is None:
        _print(message)
        return
    out.mkdir(parents=True, exist_ok=True)
    name = f"{said['scenario']}.{said['step']}" + (f".{said['language']}" if said["language"] else "")
    if message.subject:
        click.echo(f"subject  {message.subject}")
    for path, content in _files(message, name):
        (out / path).write_bytes(content)
        click.echo(f"written  {out / path}")
    if message.html:
        _pictures(message.html, out, name)


def _print(message: Message) -> None:
    if message.subject:
        click.echo(f"subject: {message.subject}\n")
    if message.payload is not None:
        click.echo(orjson.dumps(message.payload, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(message.text)
    if message.html:
        click.echo("--out DIR writes the HTML part and a picture of it", err=True)


def _files(message: Message, name: str) -> list[tuple[str, bytes]]:
    found = [(f"{name}.html", message.html.encode())] if message.html else []
    if message.payload is not None:
        return [*found, (f"{name}.json", orjson.dumps(message.payload, option=orjson.OPT_INDENT_2) + b"\n")]
    return [*found, (f"{name}.txt", message.text.encode())]


def _pictures(html: str, out: Path, name: str) -> None:
    from agents.picture import browser, draw

    found = browser()
    if found is None:
        click.echo("no picture: there is no chromium on this machine", err=True)
        return
    for kind, width in (("", DESKTOP_PX), (".phone", PHONE_PX)):
        path = out / f"{name}{kind}.png"
        draw(html, path, width, found)
        click.echo(f"written  {path}")


@click.command("send-test")
@looking
@click.option("--to", "address", help="The one address that it goes to.")
@click.option("--smtp", help="This relay instead of the settings' provider: smtp://HOST:PORT.")
@click.option("--outbox", type=click.Path(path_type=Path), help="This folder instead of a provider.")
def send_test(address: str | None, smtp: str | None, outbox: Path | None, **said: Any) -> None:
    """Send one message to one address that you name, marked as a test; no customer gets it."""
    import asyncio

    from agents.senders.testing import send_once, test_message

    if address is None:
        raise UsageError("name whom it goes to: --to ADDRESS. A test goes to nobody else")
    if smtp and outbox:
        raise UsageError("either --smtp or --outbox")
    message = test_message(look(said), address)
    by, done = asyncio.run(send_once(said["plan"], smtp, outbox, message))
    click.echo(f"sent to {address} by {by}" + (f" as {done.provider_id}" if done.provider_id else ""))
