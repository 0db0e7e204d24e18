"""What the expressions of a scenario may name, with types."""

from collections.abc import Iterable, Mapping

from models.customer import Cart, Profile
from models.event_types import PAYLOADS, SESSION_ENDED, Person
from models.settings import SettingsSpec
from pipeline.scenario.expressions.compile import Names, Scope
from pipeline.scenario.expressions.types import DATE, DECLARED, DURATION, DYN, INT, MONEY, STRING, TIME, Type, of_record
from pipeline.scenario.expressions.values import COMPUTED
from pipeline.scenario.shipped_levels import levels_of, scores_of

COMPUTED_TYPES = {
    "money": MONEY,
    "int": INT,
    "strings": Type("list", STRING),
    "counts": Type("map", INT),
    "ints": Type("list", INT),
    "pages": Type("map", Type("object", fields={"visits": INT, "time": DURATION})),
}
# What the engine derives from segments, levels, scores and dates.
OF_STATE = {
    "segment_entered": {"segment": STRING},
    "segment_left": {"segment": STRING},
    "level_fell": {"of": STRING, "from": STRING, "to": STRING},
    "level_rose": {"of": STRING, "from": STRING, "to": STRING},
    "score_reached": {"score": STRING, "at_least": INT, "value": INT},
    "date_reached": {},
}
# What the engine derives from pages: a visit is over half an hour after its last one.
SESSION = Type("object", fields={"began_at": TIME, "pages": INT, "lasted": DURATION})
OF_EVERY_EVENT = {"id": STRING, "type": STRING, "at": TIME}


def event_types(settings: SettingsSpec) -> dict[str, Type]:
    """Return the object type of every event: native, derived, and those that the store declares."""
    found = {name: of_record(payload) for name, payload in PAYLOADS.items()}
    cart = of_record(Cart)
    found["cart_changed"] = Type("object", fields={name: cart.fields[name] for name in ("items", "total", "url")})
    found[SESSION_ENDED] = SESSION
    found["customer_signed_up"] = found["customer_updated"] = _person()
    for name, fields in settings.events.items():
        found[name] = Type("object", fields={field: DECLARED[kind] for field, kind in fields.items()})
    found |= {name: Type("object", fields=fields) for name, fields in OF_STATE.items()}
    return {name: Type("object", fields={**kind.fields, **OF_EVERY_EVENT}) for name, kind in found.items()}


def _person() -> Type:
    fields = dict(of_record(Person).fields)
    return Type("object", fields={**fields, "birthday": DATE})


def union(types: Iterable[Type]) -> Type:
    """Return an object with the fields of any; a field whose types differ is dyn."""
    fields: dict[str, Type] = {}
    for one in types:
        for name, kind in one.fields.items():
            fields[name] = kind if fields.get(name, kind) == kind else DYN
    return Type("object", fields=fields)


def base_roots(settings: SettingsSpec) -> dict[str, Type]:
    """Return the roots that every expression has: customer, profile, cart."""
    person = _person()
    attributes = {name: kind for name, kind in person.fields.items() if kind.kind in {"string", "date"}}
    attributes |= {name: DECLARED[kind] for name, kind in settings.attributes.items()}
    profile = dict(of_record(Profile).fields)
    profile |= {name: COMPUTED_TYPES[kind] for name, (kind, _) in COMPUTED.items()}
    return {
        "customer": Type("object", fields=attributes),
        "profile": Type("object", fields=profile),
        "cart": of_record(Cart),
    }


def scope_with(settings: SettingsSpec, roots: Mapping[str, Type], names: Names | None = None, **more: Type) -> Scope:
    """Return a scope of the base roots and more (event, entry, names given by `as`)."""
    return Scope({**roots, **more}, settings.store.currency, names=names or Names())


def names_of(settings: SettingsSpec, scenarios: Iterable[str] = (), scenario: str = "") -> Names:
    """Return what functions may name: the settings' and the shipped segments, levels and scores, and the scenarios."""
    events = {name: kind for name, kind in event_types(settings).items() if name not in OF_STATE}
    return Names(
        segments=tuple(settings.segments),
        levels={name: tuple(step for arm in arms for step in arm) for name, arms in levels_of(settings).items()},
        scores={name: spec.half_life is not None for name, spec in scores_of(settings).items()},
        scenarios=tuple(scenarios),
        events=events,
        scenario=scenario,
    )
