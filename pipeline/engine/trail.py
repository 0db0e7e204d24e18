"""The trail of an enrolment: the named steps that it passed, and since each what it did and how it left each wait.

An edit is mapped by it (see `edits`): names of sends and splits are what two versions of a scenario have in common.
"""

from models.customer import Enrolment, Passed

# The way by which a wait that has only one is left, and a `wait_for` whose time is over.
THROUGH = 0
TIMED_OUT = -1
# No wait: a step that wrote to the customer, or started a scenario, was done.
WROTE = -2
# Waits behind one another without a send or split between them; of more the first are forgotten.
WAYS_MAX = 32


def with_step(enrolment: Enrolment, name: str) -> tuple[Passed, ...]:
    """Return the trail after a send or split."""
    return (*enrolment.trail, Passed(name))


def with_wait(enrolment: Enrolment, way: int = THROUGH) -> tuple[Passed, ...]:
    """Return the trail after a wait that was left by a way: the index of an alternative, or TIMED_OUT; or WROTE."""
    trail = enrolment.trail or (Passed(""),)
    last = trail[-1]
    return (*trail[:-1], Passed(last.step, (*last.ways, way)[-WAYS_MAX:]))
