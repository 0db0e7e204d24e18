"""What is doubtful in a scenario although it can be run: `parcours check` prints it as warnings.

A trigger that machines set off; a wait that is over before the message that it asks about, or follows, must be out; a
template that shows goods without asking whether there are any; and what `template_lint` finds in the templates of mail.
"""

import re
from collections.abc import Iterator, Mapping

from models.scenario import ScenarioSpec, SendStep, WaitForStep, WaitStep
from pipeline.durations import parse_duration
from pipeline.errors import Problem
from pipeline.scenario.compile import read_scenarios, read_settings
from pipeline.scenario.sources import PlanSources
from pipeline.scenario.template_lint import of_templates
from pipeline.scenario.walking import Block, Path, blocks_of, walk
from pipeline.yaml_places import Places

Finding = tuple[Path, str]
CATALOGUE_CALL = re.compile(r"\b(?:product|related|favourites|new_products|popular)\s*\(")
SHOWN = r"\{\{[^}]*(?<![\w.])%s\b"
ASKED = r"\{%%-?\s*(?:if|elsif|unless|for|case)\b[^%%]*(?<![\w.])%s\b"
OPENED = "message_opened"
MACHINES = (
    "machines open mail too (privacy proxies, scanners), so this says little of a person: "
    "rather use `message_clicked`, or add `{word}: default(event.machine, false) == false`"
)


def warnings(sources: PlanSources) -> list[Problem]:
    """Return what is doubtful in a plan's scenarios, each with its place."""
    found, _ = read_scenarios(sources)
    doubts = [one for _, spec, places in found.values() for one in _of_scenario(spec, places, sources.files)]
    mails = of_templates(sources.files, read_settings(sources), [spec for _, spec, _ in found.values()])
    return [*doubts, *mails]


def _of_scenario(spec: ScenarioSpec, places: Places, files: Mapping[str, str]) -> Iterator[Problem]:
    for path, message in (*_opens(spec), *_early(spec), *_close(spec), *_goods(spec, files)):
        yield places.problem(path, f"warning: {message}")


def _opens(spec: ScenarioSpec) -> Iterator[Finding]:
    for index, enter in enumerate(spec.enter):
        said = f"{enter.when or ''} {enter.unless or ''}"
        if enter.on == OPENED and "event.machine" not in said:
            yield ("enter", index, "on"), MACHINES.format(word="when")
    for index, way in enumerate(spec.exit):
        if way.on == OPENED and "event.machine" not in (way.where or ""):
            yield ("exit", index, "on"), MACHINES.format(word="where")
    if spec.goal and spec.goal.on == OPENED and "event.machine" not in (spec.goal.where or ""):
        yield ("goal", "on"), MACHINES.format(word="where")
    for path, step in walk(spec.steps):
        if isinstance(step, WaitForStep):
            for index, one in enumerate(step.wait_for):
                if one.on == OPENED and "event.machine" not in (one.where or ""):
                    yield (*path, "wait_for", index, "on"), MACHINES.format(word="where")


def _early(spec: ScenarioSpec) -> Iterator[Finding]:
    """A wait for news of a message is over before the message must be out."""
    valid = {step.send: step.valid_for for _, step in walk(spec.steps) if isinstance(step, SendStep)}
    for path, step in walk(spec.steps):
        if not isinstance(step, WaitForStep) or step.at_most is None:
            continue
        for index, one in enumerate(step.wait_for):
            if one.of in valid and parse_duration(step.at_most) < parse_duration(valid[one.of]):
                yield (
                    (*path, "wait_for", index, "of"),
                    f"{one.of!r} may go out up to {valid[one.of]} after it is due (`valid_for`), but this wait "
                    f"is over after {step.at_most}",
                )


def _close(spec: ScenarioSpec) -> Iterator[Finding]:
    """A wait after a send is over while that message may still go out: both could arrive together."""
    blocks: list[Block] = [(("steps",), spec.steps)]
    blocks += [block for path, step in walk(spec.steps) for block in blocks_of(step, path)]
    for at, steps in blocks:
        for index in range(len(steps) - 2):
            sent, wait, then = steps[index : index + 3]
            if not (isinstance(sent, SendStep) and isinstance(wait, WaitStep) and isinstance(then, SendStep)):
                continue
            if "internal" in {sent.purpose or spec.purpose, then.purpose or spec.purpose}:
                continue  # not both are the customer's to read
            if parse_duration(wait.wait) < parse_duration(sent.valid_for):
                yield (
                    (*at, index + 1, "wait"),
                    f"{sent.send!r} may go out up to {sent.valid_for} after it is due (`valid_for`), past this wait "
                    f"of {wait.wait}: it and {then.send!r} could arrive together",
                )


def _goods(spec: ScenarioSpec, files: Mapping[str, str]) -> Iterator[Finding]:
    """A template shows what the catalogue gives, and never asks whether it gave anything."""
    for path, step in walk(spec.steps):
        if not isinstance(step, SendStep):
            continue
        template = step.template or f"{spec.scenario}/{step.send}"
        mine = sorted(name for name in files if name.startswith(f"{template}."))
        for value in (name for name, text in step.data.items() if CATALOGUE_CALL.search(text)):
            shown, asked = (re.compile(form % re.escape(value)) for form in (SHOWN, ASKED))
            bare = [name for name in mine if shown.search(files[name]) and not asked.search(files[name])]
            if bare:
                yield (
                    (*path, "with", value),
                    f"without a catalogue {value!r} is empty, and {bare[0]} shows it all the same: put it in "
                    f"{{% if {value} %}} … {{% endif %}}",
                )
