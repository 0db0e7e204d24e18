"""Every fault in a scenario file is refused with file:line:column and what is wrong."""

import pytest

from pipeline.errors import PlanError
from pipeline.scenario.compile import compile_plan
from pipeline.scenario.sources import PlanSources

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


def refused(text: str, settings: str = "{}") -> list[str]:
    with pytest.raises(PlanError) as error:
        compile_plan(PlanSources({"settings.yaml": settings, "one/scenario.yaml": text}))
    return [str(problem) for problem in error.value.problems]


def test_the_good_file_is_taken() -> None:
    plan = compile_plan(PlanSources({"one/scenario.yaml": GOOD}))
    assert [scenario.name for scenario in plan.scenarios] == ["one"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("purpose: marketing", "purposes: marketing", "3:1: unknown field 'purposes'; did you mean purpose?"),
        ("wait: 45m", "wait: soon", "10:11: wait: 'soon' is not a duration: write 45m, 23h, 7d or 1h30m"),
        ("on: cart_changed", "on: cart_chnged", "5:7: unknown event 'cart_chnged'; did you mean cart_changed?"),
        ("cart.items)", "cart.item)", "6:14: unknown field cart.item; did you mean cart.items?"),
        ("size(cart.items) > 0", "size(cart.items)", "6:9: a condition is needed here, this is a int"),
        ("size(cart.items) > 0", "cart.total > 'x'", "money > string cannot be compared"),
        ("size(cart.items) > 0", "cart.total >", "6:20: the expression cannot be read at '>'"),
        ("size(cart.items) > 0", "!has(cart.url)", "6:9: YAML reads what begins with ! as a tag: quote it"),
        ("  - wait: 45m\n", "  - pause: 45m\n", "a step is one of wait, "),
        ("    channel: web", "    channel: email", "the template one/hello.en.mjml is missing"),
        (
            "  - on: order_placed",
            "  - {on: order_placed, when: 'true'}",
            "an exit has either `on` (an event) or `when`",
        ),
        ("scenario: one", "scenario: two", "1:11: the scenario is named 'two', its folder 'one': they must agree"),
        ("title: One", "title: &a One", "anchors and aliases are not used here"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, message: str) -> None:
    problems = refused(GOOD.replace(old, new, 1))
    assert any(message in problem and problem.startswith("one/scenario.yaml:") for problem in problems), problems


def test_an_expression_that_yaml_cuts_at_a_comma_is_told_to_be_quoted() -> None:
    text = GOOD.replace(
        "  on: cart_changed\n  when: size(cart.items) > 0", "  {on: cart_changed, when: top(cart.items, 3) == x}"
    )
    assert any("YAML cut an expression" in problem for problem in refused(text))


def test_a_name_that_stands_twice_is_refused() -> None:
    problems = refused(GOOD + "  - send: hello\n    channel: web\n")
    assert problems == [
        "one/scenario.yaml:11:11: the name 'hello' stands twice: names of sends and splits are unique in a file"
    ]


def test_shares_that_do_not_sum_to_the_whole_are_refused() -> None:
    split = "  - split: s\n    paths:\n      - {name: a, share: 50%}\n      - {name: b, share: 40%}\n"
    assert any("the shares do not sum to 100%" in problem for problem in refused(GOOD + split))


def test_every_fault_of_every_file_is_named_at_once() -> None:
    sources = {"one/scenario.yaml": GOOD.replace("45m", "x"), "two/scenario.yaml": "scenario: two\n"}
    with pytest.raises(PlanError) as error:
        compile_plan(PlanSources(sources))
    assert {problem.file for problem in error.value.problems} == {"one/scenario.yaml", "two/scenario.yaml"}


def test_settings_are_checked_too() -> None:
    problems = refused(GOOD, "store: {curency: EUR}\n")
    assert problems == ["settings.yaml:1:9: unknown field 'curency'; did you mean currency?"]
    assert any("is no time zone" in problem for problem in refused(GOOD, "timezone: Europe/Pari\n"))


def test_a_bomb_and_a_huge_file_are_refused() -> None:
    assert any("anchors and aliases" in problem for problem in refused("a: &a [x]\nb: [*a, *a]\n"))
    assert any("over 256 KiB" in problem for problem in refused("# " + "x" * 300_000))
