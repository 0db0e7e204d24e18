"""Steps that write to the customer: attributes and points."""

from typing import Any

from msgspec.structs import replace

from models.customer import Attribute, Enrolment
from pipeline.engine import scores
from pipeline.engine.bounds import bounded
from pipeline.engine.env import Missing
from pipeline.engine.person import ATTRIBUTES_MAX
from pipeline.engine.plan import AddScore, SetAttributes
from pipeline.engine.trail import WROTE, with_wait
from pipeline.engine.work import Work


def set_attributes(work: Work, enrolment: Enrolment, op: SetAttributes) -> None:
    """Write attributes as of the enrolment's clock, last writer by time; one without a value stays as it is."""
    env = work.env(enrolment)
    attributes = dict(work.cold.attributes)
    missing: list[str] = []
    for name, expression in op.values:
        try:
            value: Any = bounded(expression.call(env))
        except Missing:
            missing.append(name)
            continue
        old = attributes.get(name)
        mine = (enrolment.clock, enrolment.id)
        if (old is None and len(attributes) >= ATTRIBUTES_MAX) or (old is not None and (old.at, old.event) > mine):
            continue
        attributes[name] = Attribute(value, *mine)
        work.touched.append((f"customer.{name}", enrolment.id, enrolment.entry.depth))
    work.cold = replace(work.cold, attributes=attributes)
    work.stirred = True
    if missing:
        work.decide("failed", "set has no value", enrolment, detail={"missing": missing})
    work.put(replace(enrolment, at_step=op.next, trail=with_wait(enrolment, WROTE)))


def add_score(work: Work, enrolment: Enrolment, op: AddScore) -> None:
    """Add points as of the enrolment's clock; a score that nothing uses is not kept."""
    used = {score.name: score for score in work.plan.rules.scores}
    work.stirred = True
    for name, points in op.points:
        if name in used:
            rule = used[name]
            work.tracked = scores.added(work.tracked, rule, points * scores.POINT, enrolment.clock, work.now)
            work.touched.append((f"score.{name}", enrolment.id, enrolment.entry.depth))
    work.put(replace(enrolment, at_step=op.next, trail=with_wait(enrolment, WROTE)))
