"""Templates of the channels that are not mail: which file is taken, what it gives, and what a value cannot do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scenario.sources import PlanSources
from pipeline.sending.outcome import Message
from pipeline.sending.render import SMS_LETTERS_MAX, Renderer, RenderError
from tests.sending.build import T0, command

NOTE = """{
  "title": "Still thinking, {{ name }}?",
  "body": "{{ items.size }} things, {{ total | money }}",
  "url": "{{ link }}",
  "count": "{{ total }}",
  "items": "{{ items }}",
  "image": "{{ nothing }}",
  "badge": 1,
  "actions": [{"title": "Go", "url": "{{ link }}?a={{ nothing }}"}]
}"""
FILES = {
    "settings.yaml": "store: {name: Shop, url: 'https://shop.example'}",
    "cart/hello.en.txt": '---\nsubject: "Hello {{ name }}"\n---\nHello {{ name }} from {{ store.name }}\n',
    "cart/hello.fr.txt": '---\nsubject: "Bonjour"\n---\nBonjour {{ name }}\n',
    "cart/hello.en.sms.txt": "Hi {{ name }}",
    "cart/note.en.json": NOTE,
    "cart/empty.en.txt": "{{ nothing }}",
    "cart/list.en.json": '["{{ name }}"]',
    "cart/half.en.json": '{"title": "{{ name }}"}',
}


def rendered(channel: str, template: str = "cart/hello", files: dict[str, str] = FILES, **more: Any) -> Message:
    return Renderer(PlanSources(files)).render(command(channel=channel, template=template, **more), T0)


def test_a_channel_s_own_file_is_taken_before_the_common_one_and_the_language_before_both() -> None:
    assert rendered("sms").text == "Hi you"
    assert rendered("sms", language="fr").text == "Bonjour you"
    assert rendered("push").text == "Hello you from Shop"
    assert rendered("push").subject == "Hello you"


def test_a_json_template_keeps_the_kinds_of_values_and_leaves_out_what_is_nothing() -> None:
    data = {"name": "Zoé", "total": 102_000, "items": [{"id": "p1"}, {"id": "p2"}], "link": "https://shop.example/c"}
    assert rendered("push", "cart/note", data=data).payload == {
        "title": "Still thinking, Zoé?",
        "body": "2 things, €1,020.00",
        "url": "https://shop.example/c",
        "count": 102_000,
        "items": [{"id": "p1"}, {"id": "p2"}],
        "badge": 1,
        "actions": [{"title": "Go", "url": "https://shop.example/c?a="}],
    }


# Liquid writes a carriage return as a line feed, as Python does for texts.
@given(st.text(st.characters(exclude_characters="\r", exclude_categories=("Cs",)), max_size=40))
def test_no_value_breaks_out_of_its_place_in_a_json_template(name: str) -> None:
    message = rendered("push", "cart/note", data={"name": name})
    assert message.payload is not None
    assert set(message.payload) == {"title", "body", "badge", "actions"}
    assert message.payload["title"] == f"Still thinking, {name}?"


def test_a_page_gets_title_and_body_of_a_text_template_where_there_is_no_json() -> None:
    assert rendered("web").payload == {"title": "Hello you", "body": "Hello you from Shop"}


@pytest.mark.parametrize("channel", ["web", "webhook"])
def test_a_machine_without_a_template_gets_the_step_s_data(channel: str) -> None:
    message = rendered(channel, "cart/none", data={"lead": 40, "who": {"id": "c1"}})
    assert message.payload == {"lead": 40, "who": {"id": "c1"}}
    assert message.customer == "c1"


def test_a_text_message_sees_no_html_escapes() -> None:
    assert rendered("sms", data={"name": "A & B <c>"}).text == "Hi A & B <c>"


@pytest.mark.parametrize(
    ("channel", "template", "data", "why"),
    [
        ("sms", "cart/nowhere", {}, "cart/nowhere is missing in en"),
        ("sms", "cart/empty", {}, "nothing is left"),
        ("sms", "cart/hello", {"name": "x" * SMS_LETTERS_MAX}, "letters"),
        ("push", "cart/list", {"name": "x"}, "an object"),
        ("push", "cart/half", {"name": "x"}, "body must be a text"),
        ("push", "cart/half", {"name": 7}, "title and body must be a text"),
        ("push", "cart/note", {"name": "x", "items": ["y" * 600_000]}, "a message takes"),
        ("push", "cart/hello", {"name": "two\nlines"}, "line break"),
    ],
)
def test_what_is_no_message_is_refused_with_its_reason(
    channel: str, template: str, data: dict[str, Any], why: str
) -> None:
    with pytest.raises(RenderError, match=why):
        rendered(channel, template, data=data)
