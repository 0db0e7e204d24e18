"""A plan whose templates lack a part, or cannot be read, is refused before anything goes out."""

import pytest

from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources

SCENARIO = """scenario: hello
title: Hello
purpose: transactional
enter: {on: customer_signed_up}
steps:
  - send: first
    channels: [%s]
    with: {name: "default(customer.first_name, 'you')", total: profile.spent}
"""
TEXT = '---\nsubject: "Hello"\n---\nHello {{ name }}\n'


def faults(channels: str, **files: str) -> list[str]:
    named = {name.replace("__", "."): text for name, text in files.items()}
    sources = PlanSources({"hello/scenario.yaml": SCENARIO % channels} | {f"hello/{n}": t for n, t in named.items()})
    try:
        compile_plan(sources)
    except PlanError as error:
        return [str(one) for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("channels", "files"),
    [
        ("email", {"first__en__txt": TEXT, "first__en__html": "<p>Hello</p>"}),
        ("sms", {"first__en__txt": TEXT}),
        ("sms", {"first__en__sms__txt": TEXT}),
        ("push", {"first__en__json": '{"title": "Hello", "body": "{{ name }}"}'}),
        ("push, web", {"first__en__txt": TEXT}),
        ("webhook", {}),
        ("web", {}),
    ],
)
def test_a_template_that_has_what_its_channels_need_passes(channels: str, files: dict[str, str]) -> None:
    assert faults(channels, **files) == []


@pytest.mark.parametrize(
    ("channels", "files", "fault"),
    [
        ("email", {}, "the template hello/first.en.mjml is missing"),
        ("email", {"first__en__txt": TEXT}, "the template hello/first.en.mjml is missing"),
        ("sms", {"first__en__html": "<p></p>"}, "the template hello/first.en.txt is missing"),
        ("push", {}, "the template hello/first.en.txt is missing"),
        ("sms, push", {"first__en__sms__txt": TEXT}, "the template hello/first.en.txt is missing"),
        ("push", {"first__en__json": '{"title": "Hello",}'}, "first.en.json: not JSON"),
        ("sms", {"first__en__txt": "{{ name | }}"}, "first.en.txt: LiquidSyntaxError"),
        ("sms", {"first__en__txt": "{{ total | mony }}"}, "first.en.txt: unknown filter 'mony'"),
        ("push", {"first__en__json": '{"title": "{% if %}", "body": ""}'}, "first.en.json: LiquidSyntaxError"),
        ("sms", {"first__en__txt": TEXT, "first__fr__txt": "{% if x %}"}, "first.fr.txt: LiquidSyntaxError"),
    ],
)
def test_what_a_template_lacks_or_cannot_be_read_is_named_with_the_step_s_place(
    channels: str, files: dict[str, str], fault: str
) -> None:
    found = faults(channels, **files)
    assert any(fault in one for one in found), found
    assert all(one.startswith("hello/scenario.yaml:6:") for one in found), found
