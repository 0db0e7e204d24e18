"""Plan sources to a compiled plan, or to every fault with its place."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from models.ids import digest
from models.scenario import (
    AgainAfter,
    EnterSpec,
    ExitSpec,
    GoalSpec,
    ScenarioSpec,
)
from models.settings import CapSpec, QuietHoursSpec, SettingsSpec
from pipeline.durations import parse_duration, parse_share, parse_time_of_day
from pipeline.engine.plan import (
    START,
    Again,
    Cap,
    Enter,
    ExitRule,
    Goal,
    Limit,
    Plan,
    QuietHours,
    Scenario,
    Settings,
    make_plan,
)
from pipeline.errors import PlanError, Problem, UsageError
from pipeline.insight.definitions import compile_definitions
from pipeline.scenario.fields import fields_of
from pipeline.scenario.flatten import Flattener
from pipeline.scenario.moments import moment_of, subject_of
from pipeline.scenario.reaching import unreachable
from pipeline.scenario.reading import Reader, both
from pipeline.scenario.sources import RULE_VERSION, PlanSources
from pipeline.scenario.starts import Starts
from pipeline.scenario.states import States
from pipeline.yaml_places import Places, load_yaml, problems_of

SETTINGS_FILE = "settings.yaml"
KNOWN_FIELDS = fields_of(ScenarioSpec, SettingsSpec)


def compile_plan(
    sources: PlanSources,
    *,
    pinned: Mapping[tuple[str, str], Scenario] | None = None,
    activated: Mapping[str, int] | None = None,
    switches: Mapping[str, str] | None = None,
    choose: Mapping[str, str] | None = None,
) -> Plan:
    """Compile a plan; PlanError carries every fault of every file."""
    if sources.rule_version > RULE_VERSION:
        known = f"this release knows up to {RULE_VERSION}: use a newer one"
        raise UsageError(f"the plan {sources.hash} decides by version {sources.rule_version} of the rules, {known}")
    settings = read_settings(sources)
    specs, problems = read_scenarios(sources)
    starts = Starts({name: (spec, places) for name, (_, spec, places) in specs.items()})
    problems += starts.problems()
    problems += _insight_problems(settings, sources)
    states = States(settings, load_yaml(sources.files.get(SETTINGS_FILE, "{}"), SETTINGS_FILE)[1])
    definitions, silences, watched = states.definitions(), states.silences(), states.watched()
    problems += states.problems
    scenarios: dict[str, Scenario] = {}
    for name, (path, spec, places) in specs.items():
        try:
            scenarios[name] = compile_scenario(sources, path, spec, places, settings, starts)
        except PlanError as error:
            problems += error.problems
    if problems:
        raise PlanError(problems)
    for name in scenarios:
        scenarios[name] = _handing_on(scenarios, name, starts)
    return make_plan(
        sources.hash,
        scenarios.values(),
        replace(
            engine_settings(settings),
            definitions=definitions,
            silences=silences,
            watched=watched,
            rule_version=sources.rule_version,
        ),
        pinned=dict(pinned or {}),
        activated=dict(activated or {}),
        switches=dict(switches or {}),
        choose=dict(choose or {}),
    )


def _insight_problems(settings: SettingsSpec, sources: PlanSources) -> list[Problem]:
    """Return the faults of touchpoints and funnels, which no scenario reads."""
    if not settings.touchpoints and not settings.funnels:
        return []
    _, places = load_yaml(sources.files.get(SETTINGS_FILE, "{}"), SETTINGS_FILE)
    try:
        compile_definitions(settings, engine_settings(settings), places)
    except PlanError as error:
        return list(error.problems)
    return []


def read_settings(sources: PlanSources) -> SettingsSpec:
    """Return the settings with `--set` applied; PlanError where they are wrong."""
    data, places = load_yaml(sources.files.get(SETTINGS_FILE, "{}"), SETTINGS_FILE)
    data = data or {}
    if not isinstance(data, dict):
        raise PlanError([places.problem((), "settings are fields with values")])
    for key, value in sources.overrides.items():
        _override(data, key, value)
    try:
        return SettingsSpec.model_validate(data)
    except ValidationError as error:
        raise PlanError(_with_overrides(problems_of(error, places, KNOWN_FIELDS), sources)) from None


def _override(data: dict[str, Any], key: str, value: str) -> None:
    *outer, last = key.split(".")
    for part in outer:
        data = data.setdefault(part, {})
    data[last] = {"true": True, "false": False}.get(value, value)


def _with_overrides(problems: list[Problem], sources: PlanSources) -> list[Problem]:
    """A fault in what `--set` said stands in no file."""
    said = ", ".join(f"--set {key}={value}" for key, value in sources.overrides.items())
    if not said or (SETTINGS_FILE in sources.files and not sources.overrides):
        return problems
    return [Problem(one.file, one.line, one.column, f"{one.message} (with {said})") for one in problems]


def engine_settings(spec: SettingsSpec) -> Settings:
    """Return the settings that the engine reads."""
    return Settings(
        store_name=spec.store.name,
        store_url=spec.store.url,
        currency=spec.store.currency,
        rates=dict(spec.store.rates),
        timezone=spec.timezone,
        language=spec.language,
        consent_default=spec.consent_default,
        require_address=spec.require_address,
        lateness_ms=parse_duration(spec.lateness_limit),
        caps=tuple(_cap(cap) for cap in spec.caps),
        holdout_share=parse_share(spec.holdout.share),
        holdout_salt=spec.holdout.salt,
        quiet=_quiet(spec.quiet_hours),
    )


def _quiet(spec: QuietHoursSpec | None) -> QuietHours | None:
    if spec is None:
        return None
    return QuietHours(parse_time_of_day(spec.begin), parse_time_of_day(spec.end), tuple(spec.channels))


def _cap(spec: CapSpec) -> Cap:
    free = spec.keep_free_for
    return Cap(
        at_most=spec.at_most,
        per_ms=parse_duration(spec.per),
        channel=spec.channel,
        purpose=spec.purpose,
        free_above=free.priority if free else None,
        free_count=free.count if free else 0,
    )


def read_scenarios(sources: PlanSources) -> tuple[dict[str, tuple[str, ScenarioSpec, Places]], list[Problem]]:
    """Return the scenario files as written, by name with path and places, and every fault of their form."""
    found: dict[str, tuple[str, ScenarioSpec, Places]] = {}
    problems: list[Problem] = []
    for path in sorted(one for one in sources.files if one.endswith("scenario.yaml")):
        try:
            data, places = load_yaml(sources.files[path], path)
            spec = ScenarioSpec.model_validate(data)
        except PlanError as error:
            problems += error.problems
            continue
        except ValidationError as error:
            problems += problems_of(error, places, KNOWN_FIELDS)
            continue
        if spec.scenario in found:
            problems.append(
                Problem(path, 1, 1, f"a scenario {spec.scenario!r} stands in {found[spec.scenario][0]} too")
            )
        found[spec.scenario] = (path, spec, places)
    return found, problems


def _handing_on(scenarios: Mapping[str, Scenario], name: str, starts: Starts) -> Scenario:
    """Return a scenario that keeps of its entry what the scenarios that it starts name too."""
    fields = [field for other in starts.handed_on(name) for field in scenarios[other].entry_fields]
    one = scenarios[name]
    return replace(one, entry_fields=tuple(sorted({*one.entry_fields, *fields}))) if fields else one


def compile_scenario(
    sources: PlanSources, path: str, spec: ScenarioSpec, places: Places, settings: SettingsSpec, starts: Starts
) -> Scenario:
    """Compile one scenario file; PlanError carries all its faults."""
    reader = Reader(settings, places, sources.files, starts.entry_events(spec.scenario))
    entries = tuple(_enter(one, ("enter", index), reader) for index, one in enumerate(spec.enter))
    program = Flattener(spec, reader).run()
    exits = tuple(_exit(one, ("exit", index), reader) for index, one in enumerate(spec.exit))
    goal = _goal(spec.goal, reader) if spec.goal else None
    for at, message in unreachable(spec):
        reader.fault(at, message)
    _check_folder(path, spec, places, reader)
    if reader.problems:
        raise PlanError(reader.problems)
    return Scenario(
        name=spec.scenario,
        version=_version(sources, path, spec.scenario),
        purpose=spec.purpose,
        priority=spec.priority,
        program=program,
        entries=entries,
        exits=exits,
        goal=goal,
        limit=Limit(spec.limit.at_most, parse_duration(spec.limit.per)) if spec.limit else None,
        on_change=spec.on_change,
        entry_fields=tuple(sorted(reader.entry_fields)),
        event_fields=tuple((name, tuple(sorted(fields))) for name, fields in sorted(reader.event_fields.items())),
        title=spec.title,
        uses=tuple(sorted(reader.uses)),
        counters=tuple(reader.counters[key] for key in sorted(reader.counters)),
        thresholds=tuple(reader.thresholds[name] for name in sorted(reader.thresholds)),
        holdout_share=parse_share(spec.holdout) if spec.holdout else 0,
    )


def _check_folder(path: str, spec: ScenarioSpec, places: Places, reader: Reader) -> None:
    folder = path.rpartition("/")[0]
    if folder and folder.rpartition("/")[2] != spec.scenario:
        reader.fault(("scenario",), f"the scenario is named {spec.scenario!r}, its folder {folder!r}: they must agree")


def _version(sources: PlanSources, path: str, name: str) -> str:
    folder = path.rpartition("/")[0] + "/"
    mine = [part for one in sorted(sources.files) if one.startswith(folder) for part in (one, sources.files[one])]
    return digest("version", name, *mine)[:12]


def _enter(spec: EnterSpec, path: tuple[str | int, ...], reader: Reader) -> Enter:
    on = spec.event
    if on not in reader.types and on != START:
        reader.event_type(on, (*path, "on"))
    again = _again(spec)
    if on.startswith("message_") and (again.mode != "after" or again.after_ms < parse_duration("1d")):
        reader.fault((*path, "on"), "an entry on a message event needs `again: {after: 1d}` or more: it could loop")
    return Enter(
        on=on,
        when=both(reader.about(spec, on, path), reader.condition(spec.when, (*path, "when"), on)),
        unless=reader.condition(spec.unless, (*path, "unless"), on),
        again=again,
        per=reader.value(spec.per, (*path, "per"), on) if spec.per else None,
        name=spec.name,
        moment=moment_of(spec.on, (*path, "on"), reader),
        subject=subject_of(spec),
        existing=spec.existing,
    )


def _again(spec: EnterSpec) -> Again:
    if isinstance(spec.again, AgainAfter):
        return Again("after", parse_duration(spec.again.after))
    repeated = not isinstance(spec.on, str) and spec.on.every is not None
    return Again(spec.again or ("always" if repeated else "once"))


def _exit(spec: ExitSpec, path: tuple[str | int, ...], reader: Reader) -> ExitRule:
    if spec.on is not None:
        reader.event_type(spec.on, (*path, "on"))
    return ExitRule(
        on=spec.on,
        where=both(reader.about(spec, spec.on, path), reader.condition(spec.where, (*path, "where"), spec.on)),
        when=reader.standing(spec.when, (*path, "when")),
        reason=spec.on or spec.when or "",
    )


def _goal(spec: GoalSpec, reader: Reader) -> Goal:
    reader.event_type(spec.on, ("goal", "on"))
    where = both(reader.about(spec, spec.on, ("goal",)), reader.condition(spec.where, ("goal", "where"), spec.on))
    value = reader.value(spec.value, ("goal", "value"), spec.on) if spec.value else None
    return Goal(spec.on, parse_duration(spec.within), where, value)
