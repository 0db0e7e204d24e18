"""A test message goes to the one address that was named, marked, and to nobody else."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from click.testing import CliRunner, Result

from agents.cli.folder import SHIPPED
from agents.cli.main import parcours as cli
from agents.localkafka import free_port
from pipeline.errors import ParcoursError, RunError, UsageError


class Inbox:
    """A relay that keeps what it gets, and refuses one address."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if envelope.rcpt_tos == ["refused@store.example"]:
            return "550 no such person"
        self.mails.append((list(envelope.rcpt_tos), envelope.original_content or b""))
        return "250 OK"


@pytest.fixture
def relay() -> Iterator[tuple[Inbox, str]]:
    inbox = Inbox()
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, f"smtp://127.0.0.1:{port}"
    controller.stop()


def send_test(*words: str | Path) -> Result:
    common = ["send-test", "abandoned-cart", "--step", "reminder", "--plan", str(SHIPPED)]
    return CliRunner().invoke(cli, [*common, *(str(word) for word in words)])


def read(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.strict)
    assert isinstance(found, EmailMessage)
    return found


def test_it_goes_to_the_named_address_alone_and_says_that_it_is_a_test(relay: tuple[Inbox, str]) -> None:
    inbox, url = relay
    done = send_test("--to", "me@store.example", "--smtp", url, "--language", "fr")
    assert done.exit_code == 0, done.output
    [(to, raw)] = inbox.mails
    mail = read(raw)
    assert to == ["me@store.example"]
    assert mail["To"] == "me@store.example"
    assert mail["Subject"] == "[TEST] Votre panier vous attend"
    assert mail["List-Unsubscribe"] is None
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "sent to me@store.example by smtp" in done.output


def test_two_tries_are_two_messages(tmp_path: Path) -> None:
    for _ in range(2):
        assert send_test("--to", "me@store.example", "--outbox", tmp_path).exit_code == 0
    mails = [read(path.read_bytes()) for path in tmp_path.glob("*.eml")]
    assert len({mail["Message-ID"] for mail in mails}) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name whom it goes to: --to ADDRESS"),
        (("--to", "everybody"), "--to: not a mail address"),
        (("--to", "a@b.example\nBcc: c@d.example"), "--to: "),
        (("--to", "a@b.example", "--smtp", "smtp://127.0.0.1:1", "--outbox", "x"), "either --smtp or --outbox"),
    ],
)
def test_without_one_right_address_nothing_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = send_test(*words) if "--smtp" in words else send_test(*words, "--outbox", "x")
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert not list(tmp_path.rglob("*.eml"))


def test_what_the_relay_refuses_is_said(relay: tuple[Inbox, str]) -> None:
    inbox, url = relay
    done = send_test("--to", "refused@store.example", "--smtp", url)
    assert isinstance(done.exception, RunError)
    assert "not sent by smtp: " in str(done.exception)
    assert "550" in str(done.exception)
    nobody = send_test("--to", "me@store.example", "--smtp", "smtp://127.0.0.1:1")
    assert isinstance(nobody.exception, ParcoursError)
    assert "not sent by smtp: not connected" in str(nobody.exception)
    assert inbox.mails == []


def test_a_message_of_another_channel_is_refused(tmp_path: Path) -> None:
    scenario = tmp_path / "plan/one"
    scenario.mkdir(parents=True)
    (scenario / "scenario.yaml").write_text(
        "scenario: one\ntitle: One\npurpose: internal\nenter: {on: order_placed}\nsteps: [{send: a, channel: web}]\n"
    )
    (scenario / "scenario.test.yaml").write_text(
        "- {test: t, given: [{at: '10:00', event: order_placed, order_id: o}], expect: [{send: a, at: '10:00'}]}\n"
    )
    words = ["send-test", "one", "--step", "a", "--plan", str(tmp_path / "plan"), "--to", "me@store.example"]
    done = CliRunner().invoke(cli, words)
    assert "one/a goes by web: send-test sends mail" in str(done.exception)
