"""A preview as a person reads it before saying yes."""

from collections.abc import Iterator

from pipeline.applying.preview import Effect, Preview, Way

# A filter that lets in half of everybody is more often a mistake than a wish.
MANY_OF_100 = 50
FEW = 20
POLICIES = {
    "pin": "stay on it",
    "migrate": "are moved",
    "drain": "stay on it, and nobody enters until they are through",
}
EXISTING = "they do not enter at once (existing: no)"


def preview_lines(found: Preview, plan: str, before: str) -> Iterator[str]:
    """Yield the lines of a preview."""
    yield f"plan {plan} over {before or 'nothing'}: {_number(found.customers, 'customer')}"
    same = [one.name for one in found.effects.values() if one.change == "same"]
    for effect in found.effects.values():
        if effect.change != "same":
            yield from _effect(effect, found.customers)
        elif effect.enters or effect.later or effect.leaves:
            yield from _effect(effect, found.customers)
            same.remove(effect.name)
    if same:
        yield f"  unchanged: {', '.join(same)}"
    at_once = sum(one.enters + one.later for one in found.effects.values())
    yield f"{_number(at_once, 'enrolment')} at the activation, {_number(_commands(found), 'message')} at once"
    if found.failed:
        yield f"{_number(found.failed, 'customer')} on whom the activation fails: each would be a dead letter"


def _commands(found: Preview) -> int:
    return sum(one.commands for one in found.effects.values())


def _effect(effect: Effect, customers: int) -> Iterator[str]:
    policy = f" ({effect.on_change})" if effect.change == "changed" else ""
    yield f"  {effect.change}: {effect.name}{policy}"
    yield from (f"    {line}" for line in _inside(effect))
    if effect.enters:
        yield f"    {_share(effect.enters, customers)} enter at once{_loud(effect.enters, customers)}"
    if effect.later:
        yield f"    {_share(effect.later, customers)} enter over seven days{_loud(effect.later, customers)}"
    for way in effect.ways:
        yield f"    {_way(way, customers)}"


def _inside(effect: Effect) -> Iterator[str]:
    for version, count in sorted(effect.inside.items()):
        if effect.change == "removed":
            yield f"{count} inside version {version} go on with it; nobody enters any more"
        elif version != effect.version:
            yield f"{count} inside version {version} {POLICIES[effect.on_change]}"
    if effect.moved:
        yield f"{effect.moved} of them go on in the new version"
    for reason, count in sorted(effect.leaves.items()):
        yield f"{count} of them leave: {reason}"


def _way(way: Way, customers: int) -> str:
    on = way.enter.on
    if way.enter.subject:
        about = way.enter.subject.partition(".")[2]
        more = EXISTING if way.enter.existing == "no" else f"existing: {way.enter.existing}"
        return f"on {on} {about}: {_share(way.meets or 0, customers)} are in it already; {more}"
    if way.enter.when is None and way.enter.unless is None:
        return f"on {on}: whoever it happens to"
    if way.meets is None:
        return f"on {on}: its condition is of the event; `parcours backtest` says how many it would have let in"
    share = _share(way.meets, customers)
    return f"on {on}: {share} meet its condition now, and enter with their next one{_loud(way.meets, customers)}"


def _loud(count: int, customers: int) -> str:
    return "  <-- many" if count >= FEW and count * 100 >= customers * MANY_OF_100 else ""


def _share(count: int, customers: int) -> str:
    share = f" ({count * 100 // customers}%)" if count and customers else ""
    return f"{count:,} of {customers:,} customers{share}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
