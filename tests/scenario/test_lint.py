"""What can be read and is wrong all the same: steps nobody reaches, values nobody provides; and what is doubtful."""

import pytest

from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.lint import warnings
from pipeline.scenario.sources import PlanSources

HEAD = "scenario: one\ntitle: One\npurpose: marketing\nenter: {on: order_placed}\nsteps:\n"
SEND = "  - {send: hello, channel: web}\n"


def problems(steps: str, **files: str) -> list[str]:
    sources = PlanSources({"settings.yaml": "{}", "one/scenario.yaml": HEAD + steps, **files})
    try:
        compile_plan(sources)
    except PlanError as error:
        return [str(problem) for problem in error.problems]
    return []


def doubts(steps: str, head: str = HEAD) -> list[str]:
    return [str(one) for one in warnings(PlanSources({"settings.yaml": "{}", "one/scenario.yaml": head + steps}))]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            "  - exit: enough\n" + SEND,
            "one/scenario.yaml:7:5: never reached: whoever comes to the step before it ends there",
        ),
        (
            "  - branch:\n      - when: profile.orders > 1\n        then: [{exit: a}]\n      - otherwise: [{exit: b}]\n"
            + SEND,
            "one/scenario.yaml:10:5: never reached: whoever comes to the step before it ends there",
        ),
        (
            "  - branch:\n      - when: 'true'\n        then: [{wait: 1d}]\n      - otherwise: [{wait: 2d}]\n",
            "one/scenario.yaml:9:9: never reached: the arm before it always holds",
        ),
        (
            "  - wait_for: [{on: order_shipped}]\n    otherwise: [{wait: 1d}]\n",
            "one/scenario.yaml:7:16: never reached: `otherwise` follows a time-out, and there is no `at_most`",
        ),
        (
            "  - split: s\n    paths:\n      - {name: a, share: 100%}\n      - {name: b, share: 0%, then: [{wait: 1d}]}\n",
            "one/scenario.yaml:9:36: never reached: the share of 'b' is 0%",
        ),
    ],
)
def test_a_step_that_nobody_reaches_is_refused(steps: str, said: str) -> None:
    assert problems(steps) == [said]


def test_steps_after_a_branch_that_some_leave_are_reached() -> None:
    branch = (
        "  - branch:\n      - when: profile.orders > 1\n        then: [{exit: a}]\n      - otherwise: [{wait: 1d}]\n"
    )
    assert problems(branch + SEND) == []


MAIL = "  - send: hello\n    channel: email\n    with: {items: entry.items}\n"
TEXT = '---\nsubject: "Hello"\n---\n{{ items | size }}\n'


def mail(text: str, html: str = "<p></p>", **more: str) -> list[str]:
    return problems(MAIL, **{"one/hello.en.txt": text, "one/hello.en.html": html, **more})


def test_a_value_that_nothing_provides_is_named_where_the_template_uses_it() -> None:
    assert mail(TEXT) == []
    assert mail(TEXT + "{{ first_name }}") == [
        "one/hello.en.txt:5:4: nothing provides 'first_name': put it under `with` of 'hello'"
    ]
    assert mail(TEXT, "<p>\n{% for one in itens %}{{ one.name }}{% endfor %}</p>") == [
        "one/hello.en.html:2:15: nothing provides 'itens'; did you mean items?"
    ]


def test_a_value_is_found_in_the_subject_and_in_what_is_included() -> None:
    assert mail(TEXT.replace("Hello", "{{ who }}"))[0].startswith("one/hello.en.txt:2:14: nothing provides 'who'")
    included = mail(TEXT + "{% include 'shared/x.txt' %}", **{"shared/x.txt": "a\n{{ total }}"})
    assert included[0].startswith("shared/x.txt:2:4: nothing provides 'total'")


def test_names_of_the_sender_and_names_that_a_template_sets_are_provided() -> None:
    given = "{{ store.name }} {{ unsubscribe_url }} {{ title }} {% assign one = 1 %}{{ one }}"
    assert mail(TEXT + given) == []


def test_a_template_of_another_language_is_looked_at_too() -> None:
    found = problems(
        MAIL,
        **{
            f"one/hello.{lang}.{kind}": TEXT + ("{{ nom }}" if lang == "fr" else "")
            for lang in ("en", "fr")
            for kind in ("txt", "html")
        },
    )
    assert {one.split(":")[0] for one in found} == {"one/hello.fr.txt", "one/hello.fr.html"}


def test_a_trigger_on_opens_is_doubted_because_machines_open_mail() -> None:
    said = HEAD.replace("on: order_placed", "on: message_opened, again: {after: 1d}")
    [warning] = doubts(SEND, said)
    assert warning.startswith("one/scenario.yaml:4:13: warning: machines open mail too")
    assert doubts(SEND, said.replace("message_opened,", "message_opened, when: event.machine == false,")) == []
    assert len(doubts("  - wait_for: [{on: message_opened}]\n    at_most: 1d\n")) == 1


def test_a_wait_that_is_over_before_the_message_must_be_out_is_doubted() -> None:
    asked = SEND + "  - wait_for: [{on: message_clicked, of: hello}]\n    at_most: 2h\n"
    assert doubts(asked) == [
        "one/scenario.yaml:7:42: warning: 'hello' may go out up to 24h after it is due (`valid_for`), "
        "but this wait is over after 2h"
    ]
    both = SEND + "  - wait: 2h\n  - {send: next, channel: web}\n"
    assert doubts(both) == [
        "one/scenario.yaml:7:11: warning: 'hello' may go out up to 24h after it is due (`valid_for`), "
        "past this wait of 2h: it and 'next' could arrive together"
    ]
    assert doubts(both.replace("channel: web}\n  - wait", "channel: web, valid_for: 2h}\n  - wait")) == []
    assert doubts(both.replace("channel: web}\n  - wait", "channel: web, purpose: internal}\n  - wait")) == []


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("{{ offers[0].name }}", True),
        ("Have {{ offers | join: ', ' }}", True),
        ("{% if offers and offers.size > 0 %}{{ offers[0].name }}{% endif %}", False),
        ("{% for one in offers %}{{ one.name }}{% endfor %}", False),
        ("{{ my.offers }}{{ my_offers }}", False),
        ("Nothing of the kind", False),
    ],
)
def test_a_template_that_shows_goods_without_asking_is_doubtful(text: str, warned: bool) -> None:
    send = "  - send: hello\n    channel: sms\n    with: {offers: 'popular(3)', my: entry.id, my_offers: entry.id}\n"
    scenario = "scenario: one\ntitle: One\npurpose: internal\nenter: {on: order_placed}\nsteps:\n" + send
    found = warnings(PlanSources({"one/scenario.yaml": scenario, "one/hello.en.txt": text}))
    said = "one/scenario.yaml:8:20: warning: without a catalogue 'offers' is empty, and one/hello.en.txt shows it"
    assert [str(one).startswith(said) for one in found] == ([True] if warned else [])
