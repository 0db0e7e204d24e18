"""A message as mail: what a strict reader finds in it, and what is refused."""

import email
from dataclasses import replace
from email.message import EmailMessage
from email.policy import strict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sending.mime import SIMPLE, AddressError, MimeError, _checked, checked_address, to_mime
from pipeline.sending.outcome import Message

MESSAGE = Message(
    command="c0ffee" * 5,
    channel="email",
    address="ann@shop.example",
    subject="Été : 20 % de moins 🎉",
    text="Déjà vu\nline two\n",
    html="<p>Déjà vu</p>",
    sender="Épicerie Été <shop@shop.example>",
    at=1_790_000_000_000,
    marketing=True,
)
MAIL_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C",)), max_size=300)


def read(message: Message) -> EmailMessage:
    raw = to_mime(message)
    assert raw.isascii(), "a relay without 8BITMIME would have to recode it"
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    found = email.message_from_bytes(raw, policy=strict)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_accents_and_emoji_arrive_in_subject_sender_and_both_bodies() -> None:
    mail = read(MESSAGE)
    assert mail["subject"] == MESSAGE.subject
    assert mail["from"].addresses[0].display_name == "Épicerie Été"
    assert body(mail, "plain") == MESSAGE.text
    assert body(mail, "html").strip() == MESSAGE.html


def test_the_message_id_comes_from_the_command() -> None:
    mail = read(MESSAGE)
    assert mail["message-id"] == f"<{MESSAGE.command}@shop.example>"
    assert mail["x-parcours-command"] == MESSAGE.command


def test_the_same_command_gives_the_same_bytes() -> None:
    assert to_mime(MESSAGE) == to_mime(replace(MESSAGE))


def test_unsubscribe_headers_stand_only_where_there_is_an_address_for_it() -> None:
    assert read(MESSAGE)["list-unsubscribe"] is None
    url = "https://shop.example/u?token=" + "a" * 400
    mail = to_mime(replace(MESSAGE, unsubscribe_url=url)).decode()
    assert f"List-Unsubscribe: <{url}>\r\n" in mail  # never as encoded words, which no reader of it understands
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail


@pytest.mark.parametrize(
    "part",
    [
        {"subject": "Hello\r\nBcc: all@shop.example"},
        {"subject": "Hello\nX: y"},
        {"address": "ann@shop.example\r\nBcc: all@shop.example"},
        {"sender": "Shop\r\nBcc: all@shop.example <shop@shop.example>"},
        {"reply_to": "a@shop.example\nX: y"},
        {"unsubscribe_url": "https://shop.example/\r\nX: y"},
    ],
)
def test_a_header_within_a_header_is_refused(part: dict[str, str]) -> None:
    with pytest.raises(MimeError):
        to_mime(replace(MESSAGE, **part))


@pytest.mark.parametrize(
    "text", ["", "nobody", "@shop.example", "a b@shop.example", "a@b@c", "é@shop.example", "a@\0b"]
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        checked_address(text)
    assert not text or text not in str(caught.value)


def test_an_international_domain_travels_in_ascii() -> None:
    assert checked_address("Ann <ann@exämple.example>") == "ann@xn--exmple-cua.example"


@given(subject=MAIL_TEXT, text=MAIL_TEXT)
def test_any_text_without_control_characters_arrives_whole(subject: str, text: str) -> None:
    mail = read(replace(MESSAGE, subject=subject.strip(), text=text))
    assert mail["subject"] == subject.strip()
    assert body(mail, "plain").rstrip("\n") == text


@given(st.text(max_size=80))
def test_any_string_is_an_address_or_refused_and_never_a_second_header(text: str) -> None:
    try:
        mail = to_mime(replace(MESSAGE, address=text))
    except MimeError:
        return
    assert sorted(email.message_from_bytes(mail).keys()) == sorted(email.message_from_bytes(to_mime(MESSAGE)).keys())


LINES = st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C",)), max_size=120), max_size=8)


@given(lines=LINES, end=st.sampled_from(["\n", "\r\n", "\r", ""]), tail=st.sampled_from(["", " ", "\t", ".", "\n\n"]))
def test_lines_arrive_as_lines_whatever_their_ends_and_letters(lines: list[str], end: str, tail: str) -> None:
    text = end.join(lines) + tail
    said = "\n".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")).rstrip("\n")
    mail = read(replace(MESSAGE, text=text, html=text))
    assert body(mail, "plain").rstrip("\n") == said
    assert body(mail, "html").rstrip("\n") == said


@pytest.mark.parametrize(
    "text", ["x" * 5_000, "é" * 5_000, "日本" * 900, "a\n.\n.b\nFrom c\n", "= =3D ==", "x" * 78 + " "]
)
def test_long_lines_dots_and_other_alphabets_arrive_whole(text: str) -> None:
    mail = read(replace(MESSAGE, text=text, html=text))
    assert body(mail, "plain").rstrip("\n") == text.rstrip("\n")


def test_a_name_with_what_an_address_must_quote_is_quoted() -> None:
    mail = read(replace(MESSAGE, address='"Ann, the first" <ann@shop.example>', sender="A, B <shop@shop.example>"))
    assert mail["to"].addresses[0].addr_spec == "ann@shop.example"


@given(st.from_regex(SIMPLE, fullmatch=True))
def test_a_plain_address_is_what_a_look_at_all_its_parts_says_too(text: str) -> None:
    assert _checked(text) == text == checked_address(text)
