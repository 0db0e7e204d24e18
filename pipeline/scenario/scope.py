"""What the expressions of a scenario may name, with types."""

from collections.abc import Iterable, Mapping

from models.customer import Cart, Profile
from models.event_types import PAYLOADS, Person
from models.settings import SettingsSpec
from pipeline.scenario.expressions.compile import Scope
from pipeline.scenario.expressions.types import DECLARED, DYN, INT, MONEY, STRING, TIME, Type, of_record
from pipeline.scenario.expressions.values import COMPUTED

COMPUTED_TYPES = {
    "money": MONEY,
    "int": INT,
    "strings": Type("list", STRING),
    "counts": Type("map", INT),
}
OF_EVERY_EVENT = {"id": STRING, "type": STRING, "at": TIME}


def event_types(settings: SettingsSpec) -> dict[str, Type]:
    """Return the object type of every event: native, derived, and those that the store declares."""
    found = {name: of_record(payload) for name, payload in PAYLOADS.items()}
    cart = of_record(Cart)
    found["cart_changed"] = Type("object", fields={name: cart.fields[name] for name in ("items", "total", "url")})
    for name, fields in settings.events.items():
        found[name] = Type("object", fields={field: DECLARED[kind] for field, kind in fields.items()})
    return {name: Type("object", fields={**kind.fields, **OF_EVERY_EVENT}) for name, kind in found.items()}


def union(types: Iterable[Type]) -> Type:
    """Return an object with the fields of any; a field whose types differ is dyn."""
    fields: dict[str, Type] = {}
    for one in types:
        for name, kind in one.fields.items():
            fields[name] = kind if fields.get(name, kind) == kind else DYN
    return Type("object", fields=fields)


def base_roots(settings: SettingsSpec) -> dict[str, Type]:
    """Return the roots that every expression has: customer, profile, cart."""
    person = of_record(Person)
    attributes = {name: kind for name, kind in person.fields.items() if kind.kind == "string"}
    attributes |= {name: DECLARED[kind] for name, kind in settings.attributes.items()}
    profile = dict(of_record(Profile).fields)
    profile |= {name: COMPUTED_TYPES[kind] for name, (kind, _) in COMPUTED.items()}
    return {
        "customer": Type("object", fields=attributes),
        "profile": Type("object", fields=profile),
        "cart": of_record(Cart),
    }


def scope_with(settings: SettingsSpec, roots: Mapping[str, Type], **more: Type) -> Scope:
    """Return a scope of the base roots and more (event, entry, names given by `as`)."""
    return Scope({**roots, **more}, settings.store.currency)
