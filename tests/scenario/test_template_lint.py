"""What is doubtful in the templates of mail: named with its file, and nothing where all is well."""

import pytest

from models.settings import SettingsSpec
from pipeline.scenario.lint import warnings
from pipeline.scenario.sources import PlanSources
from pipeline.scenario.template_lint import HTML_BYTES_MAX, of_templates

SCENARIO = """scenario: hello
title: Hello
purpose: marketing
enter: {on: customer_signed_up}
steps:
  - send: first
    channel: email
"""
WAY_OUT = "{{ unsubscribe_url }}"
TEXT = f'---\nsubject: "Hello"\n---\nHello {WAY_OUT}\n'
HTML = f'<p>Hello</p><img src="a.png" alt="A mug"><a href="{WAY_OUT}">Stop</a>'
GOOD = {"hello/first.en.txt": TEXT, "hello/first.en.html": HTML}
SETTINGS = "senders: {email: {unsubscribe_url: 'https://shop.example/stop'}}\n"


def doubts(settings: str = SETTINGS, scenario: str = SCENARIO, **files: str) -> list[str]:
    named = {f"hello/{name.replace('__', '.')}": text for name, text in files.items()}
    plan = {"settings.yaml": settings, "hello/scenario.yaml": scenario, **GOOD, **named}
    return [str(one) for one in warnings(PlanSources({name: text for name, text in plan.items() if text}))]


def test_a_mail_with_all_that_it_needs_is_not_doubted() -> None:
    assert doubts() == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"first__fr__html": HTML},
            "hello/first.fr.html:1:1: warning: hello/first.fr.txt is missing: half of this mail comes in another language",
        ),
        (
            {"first__fr__txt": TEXT},
            "hello/first.fr.txt:1:1: warning: hello/first.fr.mjml is missing: half of this mail comes in another language",
        ),
        (
            {"first__en__txt": f"Hello {WAY_OUT}"},
            "hello/first.en.txt:1:1: warning: no subject between lines of --- at the top: no such mail can go out",
        ),
        (
            {"first__en__html": "<p>Hello</p>"},
            "hello/first.en.html:1:1: warning: marketing mail without `{{ unsubscribe_url }}`: nobody can say stop",
        ),
        (
            {"first__en__txt": TEXT.replace(WAY_OUT, "")},
            "hello/first.en.txt:1:1: warning: marketing mail without `{{ unsubscribe_url }}`: nobody can say stop",
        ),
        (
            {"first__en__html": HTML + '\n <img\n src="b.png" title="a > b">'},
            "hello/first.en.html:2:2: warning: a picture without alternative text: "
            'write alt="…", or alt="" where it says nothing',
        ),
        (
            {"first__en__html": HTML + "x" * HTML_BYTES_MAX},
            "hello/first.en.html:1:1: warning: 100 kB of HTML before anything is filled in: "
            "mail programs cut what is over 100 kB",
        ),
    ],
)
def test_what_is_doubtful_is_named_with_its_file(files: dict[str, str], said: str) -> None:
    assert doubts(**files) == [said]


def test_pictures_of_shared_parts_and_of_mjml_are_looked_at() -> None:
    layout = f'<mjml><mj-body><mj-include path="content" /><mj-raw>{WAY_OUT}</mj-raw></mj-body></mjml>'
    body = '<mj-section><mj-column><mj-image src="a.png" /></mj-column></mj-section>'
    found = doubts(first__en__html="", first__en__mjml=body)
    assert found[0].startswith("hello/first.en.mjml:1:1: warning: marketing mail without"), "it cannot be put together"
    files = {**GOOD, "shared/layout.mjml": layout, "hello/first.en.mjml": body, "hello/scenario.yaml": SCENARIO}
    del files["hello/first.en.html"]
    sources = PlanSources({**files, "settings.yaml": SETTINGS, "shared/part.html": '<img src="{{ a }}">'})
    [image, part] = [str(one) for one in warnings(sources)]
    assert image.startswith("hello/first.en.mjml:1:24: warning: a picture without alternative text")
    assert part.startswith("shared/part.html:1:1: warning: a picture without alternative text")


def test_a_store_that_offers_no_way_out_is_told_once() -> None:
    assert doubts("{}") == [
        "settings.yaml:1:1: warning: marketing mail offers no way out: set `collector: {url: …}`, or "
        "`senders: {email: {unsubscribe_url: …}}`"
    ]
    assert doubts('collector: {url: "https://m.shop.example"}') == []


def test_mail_that_is_no_marketing_needs_no_way_out() -> None:
    text = {"first__en__txt": TEXT.replace(WAY_OUT, ""), "first__en__html": "<p>Hello</p>"}
    assert doubts("{}", SCENARIO.replace("marketing", "transactional"), **text) == []
    own = SCENARIO + "    purpose: transactional\n"
    assert doubts("{}", own, **text) == []


def test_templates_of_other_channels_are_left_alone() -> None:
    assert list(of_templates({"hello/first.en.txt": "Hello"}, SettingsSpec(), [])) == []
