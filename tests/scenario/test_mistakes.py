"""Every mistake that `parcours check` knows, with the exact words that it is told in, and where."""

from pathlib import Path

import pytest

from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.lint import warnings
from pipeline.scenario.sources import PlanSources, read_sources
from pipeline.yaml_cuts import as_meant
from pipeline.yaml_places import load_yaml
from tests.acceptance.running import parcours

FILE = "one/scenario.yaml"
GOOD = """\
scenario: one
title: One
purpose: marketing
enter:
  on: cart_changed
  when: size(cart.items) > 0
exit:
  - on: order_placed
steps:
  - wait: 45m
  - send: hello
    channel: web
"""
WHEN = "size(cart.items) > 0"
STARTED = "scenario: {}\ntitle: T\npurpose: marketing\nenter: {{on: start}}\nsteps: [{{start: {}}}]\n"


def told(old: str, new: str, **files: str) -> list[str]:
    """Return what is said of the good file with one part replaced: faults, else warnings."""
    text = GOOD.replace(old, new, 1)
    assert text != GOOD or files
    sources = PlanSources({"settings.yaml": "{}", FILE: text, **files})
    try:
        compile_plan(sources)
    except PlanError as error:
        return [str(one) for one in error.problems]
    return [str(one) for one in warnings(sources)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: One", "titel: One", ["1:1: 'title' is missing", "2:1: unknown field 'titel'; did you mean title?"]),
        ("    channel: web", "    chanel: web", ["12:5: unknown field 'chanel'; did you mean channel?"]),
        (
            "purpose: marketing\n",
            "",
            ["1:1: 'purpose' is missing: marketing (needs consent), transactional or internal"],
        ),
        (
            "channel: web",
            "channel: web\n    purpose: promotion",
            ["13:14: purpose: Input should be 'marketing', 'transactional' or 'internal'"],
        ),
        ("45m", "45 minutes", ["10:11: wait: '45 minutes' is not a duration: write 45m, 23h, 7d or 1h30m"]),
        (
            "scenario: one",
            "scenario: One!",
            ["1:11: scenario: 'One!' is no name: small letters, digits, - and _, a letter first"],
        ),
        ("title: One", "title: true", ["2:8: title: a text is needed here, not True: quote it"]),
        (GOOD, "", ["1:1: fields with values are needed here"]),
        (
            "- wait: 45m",
            "- pause: 45m",
            ["10:5: a step is one of wait, until, wait_for, send, branch, split, set, score, start, exit"],
        ),
        ("on: cart_changed", "on: cart_chnged", ["5:7: unknown event 'cart_chnged'; did you mean cart_changed?"]),
        (WHEN, "cart.totl > 1", ["6:9: unknown field cart.totl; did you mean cart.total?"]),
        (WHEN, "siz(cart.items) > 0", ["6:9: unknown function 'siz'; did you mean size?"]),
        (WHEN, 'cart.total > "x"', ["6:9: money > string cannot be compared"]),
        (WHEN, 'segment("vip")', ["6:17: unknown segment 'vip'"]),
        (
            "- wait: 45m",
            "- exit: enough\n  - wait: 45m",
            ["11:5: never reached: whoever comes to the step before it ends there"],
        ),
        ("channel: web", "channel: email", ["11:11: the template one/hello.en.mjml is missing"]),
        ("- wait: 45m", "- start: two", ["10:12: unknown scenario 'two'"]),
        ("- wait: 45m", "- start: one", ["10:12: one cannot be started: it has no `enter: {on: start}`"]),
        (
            "channel: web",
            "channel: web\n  - send: hello\n    channel: web",
            ["11:11: the name 'hello' stands twice: names of sends and splits are unique in a file"],
        ),
        (
            "title: One",
            "title: One\ntitle: Two",
            ['3:1: not YAML: found duplicate key "title" with value "Two" (original value: "One")'],
        ),
        ("title: One", "title: &a One", ["2:8: anchors and aliases are not used here: write it out"]),
        (
            "on: cart_changed\n",
            "on: message_opened\n  again: {after: 1d}\n",
            [
                "5:7: warning: machines open mail too (privacy proxies, scanners), so this says little of a person: "
                "rather use `message_clicked`, or add `when: default(event.machine, false) == false`"
            ],
        ),
        (
            "channel: web",
            "channel: web\n  - wait: 2h\n  - send: next\n    channel: web",
            [
                "13:11: warning: 'hello' may go out up to 24h after it is due (`valid_for`), past this wait of 2h: "
                "it and 'next' could arrive together"
            ],
        ),
    ],
)
def test_a_mistake_is_told_where_it_stands_and_in_these_words(old: str, new: str, said: list[str]) -> None:
    assert told(old, new) == [f"{FILE}:{one}" for one in said]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (WHEN, "!has(cart.url)", "6:9: YAML reads what begins with ! as a tag: quote it, when: '!has(cart.url)'"),
        (
            f"\n  on: cart_changed\n  when: {WHEN}",
            " {on: cart_changed, when: !has(cart.url), again: once}",
            "4:33: YAML reads what begins with ! as a tag: quote it, when: '!has(cart.url)'",
        ),
        (
            f"\n  on: cart_changed\n  when: {WHEN}",
            " {on: cart_changed, when: top(cart.items, 3) == x}",
            "4:49: YAML cut an expression before '3) == x': quote it, when: 'top(cart.items, 3) == x'",
        ),
        (
            "channel: web",
            "channel: web\n    with: {link: cart.url, items: top(cart.items, 3), total: cart.total}",
            "13:51: YAML cut an expression before '3)': quote it, items: 'top(cart.items, 3)'",
        ),
        (
            "channel: web",
            'channel: web\n    with: {items: top(cart.items, 3, "price")}',
            "13:45: not YAML: expected ',' or '}', but got '<scalar>'; if it is one text, quote it: "
            "items: 'top(cart.items, 3, \"price\")'",
        ),
        (
            WHEN,
            'cart.url == "a #1"',
            "6:21: the expression cannot be read at '\"a'; YAML cut it at the #: quote it, when: 'cart.url == \"a #1\"'",
        ),
        (
            WHEN,
            "size(cart.items) > 0 ? true : false",
            "6:37: not YAML: mapping values are not allowed here; if it is one text, quote it: "
            "when: 'size(cart.items) > 0 ? true : false'",
        ),
        (
            WHEN,
            "'a' == cart.url",
            "6:13: not YAML: expected <block end>, but found '<scalar>'; if it is one text, quote it: "
            "when: '''a'' == cart.url'",
        ),
    ],
)
def test_an_expression_that_yaml_cuts_is_printed_as_it_should_be_written(old: str, new: str, said: str) -> None:
    assert told(old, new) == [f"{FILE}:{said}"]


@pytest.mark.parametrize(
    "expression",
    [
        "!has(cart.url)",
        'cart.url == "a #1"',
        "size(cart.items) > 0 ? true : false",
        "'a' == cart.url",
        "[1, 2][0] == 1",
    ],
)
def test_what_is_printed_is_read_as_the_expression_that_was_meant(expression: str) -> None:
    meant = as_meant(f"  when: {expression}", 9)
    assert meant is not None
    assert load_yaml(meant, "f")[0] == {"when": expression}


def test_scenarios_that_start_each_other_are_told_of_their_circle() -> None:
    files = {"two/scenario.yaml": STARTED.format("two", "three"), "three/scenario.yaml": STARTED.format("three", "two")}
    assert told("- wait: 45m", "- start: two", **files) == [
        "three/scenario.yaml:5:17: a circle: two leads back to three",
        "two/scenario.yaml:5:17: a circle: three leads back to two",
    ]


def test_two_files_with_one_name_are_both_named() -> None:
    said = told("", "", **{"b/scenario.yaml": GOOD})
    assert f"{FILE}:1:1: a scenario 'one' stands in b/scenario.yaml too" in said


def test_a_template_that_is_nearly_there_is_named() -> None:
    said = told("channel: web", "channel: sms", **{"one/helo.en.txt": "Hello"})
    assert said == [f"{FILE}:11:11: the template one/hello.en.txt is missing; did you mean one/helo.en.txt?"]


def test_a_value_that_nothing_provides_is_told_where_the_template_uses_it() -> None:
    said = told("channel: web", "channel: sms", **{"one/hello.en.txt": "Hello\n{{ first_name }}"})
    assert said == ["one/hello.en.txt:2:4: nothing provides 'first_name': put it under `with` of 'hello'"]


def test_a_bomb_is_refused_before_it_is_built() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert told(GOOD, bomb) == [f"{FILE}:1:4: anchors and aliases are not used here: write it out"]


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "scenario.yaml").write_bytes(b"# " + b"x" * 10_000_000)
    with pytest.raises(PlanError) as error:
        read_sources(tmp_path)
    assert [str(one) for one in error.value.problems] == [f"{FILE}:1:1: a file of over 1024 KiB is refused"]
    assert told(GOOD, "# " + "x" * 300_000) == [f"{FILE}:1:1: a file of over 256 KiB is refused"]


def test_check_prints_every_mistake_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    wrong = GOOD.replace("channel: web", "chanel: web").replace("45m", "soon")
    (tmp_path / "one" / "scenario.yaml").write_text(wrong)
    done = parcours("check", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "parcours: one/scenario.yaml:10:11: wait: 'soon' is not a duration: write 45m, 23h, 7d or 1h30m\n"
        "one/scenario.yaml:12:5: unknown field 'chanel'; did you mean channel?\n"
    )


def test_what_the_console_watches_is_a_segment_or_level() -> None:
    settings = "segments: {vip: profile.orders > 9}\nwatch: [vip, buyer, vpi]\n"
    with pytest.raises(PlanError, match=r"settings.yaml:2:21: unknown segment or level 'vpi'; did you mean vip\?"):
        compile_plan(PlanSources({"settings.yaml": settings, FILE: GOOD}))


def test_what_is_watched_is_kept_up_though_no_scenario_reads_it() -> None:
    settings = "segments: {vip: profile.orders > 9, other: profile.orders > 5}\n"
    files = {FILE: GOOD}
    assert compile_plan(PlanSources({"settings.yaml": settings, **files})).rules.rules == ()
    watched = compile_plan(PlanSources({"settings.yaml": settings + "watch: [vip, buyer]\n", **files}))
    assert [rule.name for rule in watched.rules.rules] == ["vip", "buyer"]
