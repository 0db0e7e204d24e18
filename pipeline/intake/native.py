"""Validation: what any mapping gives, or a native record says, becomes a typed event or a fault with its path."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from models.customer import CartItem
from models.event_types import PAYLOADS, Payload
from models.identity import ANONYMOUS, LINKED, is_anonymous
from models.ids import CUSTOMER_ID_BYTES_MAX
from models.mapping import MappingSpec
from models.money import exponent, to_minor
from pipeline.errors import UsageError

# A plausible range for a shop's log: outside it a clock or a unit is wrong.
TIME_MIN_MS = 788_918_400_000  # 1995-01-01
TIME_MAX_MS = 4_102_444_800_000  # 2100-01-01
SECONDS_MAX = 100_000_000_000  # a number below this is seconds, not milliseconds
# A state is kept as msgpack, which has 64-bit numbers; no count of a shop comes near this.
COUNT_MAX = 10**12
Count = Annotated[int, msgspec.Meta(ge=-COUNT_MAX, le=COUNT_MAX)]
# Less than no article is a fault of the source (what leaves a cart has its own event). A million at the highest
# amount (10**12 minor units) is 10**18: a line's sum stays inside 64 bits.
Quantity = Annotated[int, msgspec.Meta(ge=0, le=10**6)]
Amount = int | float | str
Moment = int | float | str
DECLARED: dict[str, Any] = {
    "string": str, "int": Count, "number": float, "bool": bool, "money": Amount, "time": Moment, "date": str,
}  # fmt: skip
MONEY_FIELDS = ("price", "total", "amount")
TIME_FIELDS = ("due_on", "expected_at", "until")
# What every record says: whom it is about, by the store's id or before a sign-in by a cookie's or a device's, and when.
WHO_AND_WHEN: list[Any] = [
    ("customer", str | int | None, None),
    ("anonymous_id", str | int | None, None),
    ("occurred_at", Moment),
    ("id", str | int | None, None),
]
# An attribute is a value or a small list or object of values.
ATTRIBUTE_DEPTH_MAX = 4


class Fault(Exception):
    """A record is refused: the reason, and the path of the place inside it."""

    def __init__(self, reason: str, path: str = ""):
        super().__init__(reason)
        self.reason = reason
        self.path = path


def _bounded(name: str, kind: Any) -> Any:
    """Whole numbers get their bounds; other types stay."""
    if name == "quantity":
        return Quantity
    return {int: Count, int | None: Count | None}.get(kind, kind)


def _raw_item() -> type[msgspec.Struct]:
    fields: list[Any] = [("product_id", str | int)]
    for field in msgspec.structs.fields(CartItem)[1:]:
        kind = Amount if field.name == "price" else _bounded(field.name, field.type)
        fields.append((field.name, kind | None, None))
    return msgspec.defstruct("Item", fields, kw_only=True, omit_defaults=True)


RAW_ITEM = _raw_item()


def _raw_type(name: str, payload: type[Payload]) -> type[msgspec.Struct]:
    """Return the class that a source's record of a type is read into: amounts and times as sources write them."""
    fields = list(WHO_AND_WHEN)
    for field in msgspec.structs.fields(payload):
        kind: Any = _bounded(field.name, field.type)
        if field.name in MONEY_FIELDS:
            kind = Amount | None if not field.required else Amount
        elif field.name in TIME_FIELDS:
            kind = Moment | None
        elif field.name == "items":
            kind = list[RAW_ITEM]  # type: ignore[valid-type]
        elif field.name.endswith("_id"):
            kind = str | int if field.required else str | int | None
        if name == LINKED:
            fields.append((field.name, kind | None, None))  # the customer of the record may be the one that is meant
        elif field.required:
            fields.append((field.name, kind))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, kind, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, kind, field.default))
    return msgspec.defstruct(
        f"Raw_{name}", fields, tag_field="type", tag=name, kw_only=True, omit_defaults=True, gc=False
    )


def _custom_type(name: str, declared: Mapping[str, str]) -> type[msgspec.Struct]:
    fields = [one for one in WHO_AND_WHEN if one[0] not in declared]
    fields += [(field, DECLARED[kind] | None, None) for field, kind in declared.items()]
    return msgspec.defstruct(f"Raw_{name}", fields, tag_field="type", tag=name, kw_only=True, omit_defaults=True)


class Validator:
    """Reads raw events of every known type; amounts become minor units of `currency` or the record's own."""

    def __init__(self, currency: str, custom: Mapping[str, Mapping[str, str]] | None = None):
        self.currency = currency
        self.custom = dict(custom or {})
        raw = {name: _raw_type(name, payload) for name, payload in PAYLOADS.items()}
        raw |= {name: _custom_type(name, fields) for name, fields in self.custom.items()}
        union: Any = None
        for kind in raw.values():
            union = kind if union is None else union | kind
        self._decoder = msgspec.json.Decoder(union)
        self._raw = raw

    def record_types(self) -> dict[str, type[msgspec.Struct]]:
        """Return the class of a source's record, by the event's type: for whoever describes them."""
        return dict(self._raw)

    def check(self, spec: MappingSpec) -> None:
        """Raise a UsageError where a mapping gives an event or a field that nothing would read."""
        for event in spec.events:
            kind = self._raw.get(event.type)
            if kind is None:
                raise UsageError(f"mapping {spec.mapping}: {_unknown('event', event.type, self._raw)}")
            named = {*event.fields, *(["items"] if spec.group else [])}
            for name in sorted(named - {*kind.__struct_fields__}):
                said = _unknown("field", name, kind.__struct_fields__)
                raise UsageError(f"mapping {spec.mapping}, event {event.type}: {said}")

    def decode(self, value: bytes) -> tuple[str, str | None, str, int, dict[str, Any]]:
        """Read a native record: (type, source id, customer, occurred_at, data); Fault says what is wrong and where."""
        try:
            return self._finish(self._decoder.decode(value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _fault_of(error) from None

    def convert(self, fields: dict[str, Any]) -> tuple[str, str | None, str, int, dict[str, Any]]:
        """Read what a mapping gave; texts stand for numbers where numbers are meant."""
        kind = self._raw.get(fields["type"])
        if kind is None:
            raise Fault(f"unknown event type {fields['type']!r}", "$.type")
        try:
            # The class itself, not the union of all: msgspec would build that anew with every call (18 µs).
            return self._finish(msgspec.convert(fields, kind, strict=False))
        except (msgspec.ValidationError, RecursionError) as error:
            raise _fault_of(error) from None

    def _finish(self, raw: Any) -> tuple[str, str | None, str, int, dict[str, Any]]:
        data: dict[str, Any] = msgspec.to_builtins(raw)
        kind = data.pop("type")
        customer = _linked(data) if kind == LINKED else _who(data)
        occurred_at = to_ms(data.pop("occurred_at"))
        source_id = data.pop("id", None)
        self._units(data, kind)
        return kind, None if source_id is None else str(source_id), customer, occurred_at, data

    def _currency(self, data: dict[str, Any]) -> str:
        """Return the currency of the record's amounts; a code in small letters is the same currency."""
        said = data.get("currency")
        if said is None:
            return self.currency
        code = str(said).upper()
        if len(code) != 3 or not (code.isascii() and code.isalpha()):
            raise Fault(f"{said!r} is not a currency: three letters, as in EUR", "$.currency")
        data["currency"] = code
        return code

    def _units(self, data: dict[str, Any], kind: str) -> None:
        currency = self._currency(data)
        declared = self.custom.get(kind)
        if declared is not None:
            for name, said in declared.items():
                if name in data and said in {"money", "time"}:
                    data[name] = minor(data[name], currency, name) if said == "money" else to_ms(data[name], name)
            return
        for name in MONEY_FIELDS:
            if name in data:
                data[name] = minor(data[name], currency, name)
        for name in TIME_FIELDS:
            if name in data:
                data[name] = to_ms(data[name], name)
        for name in ("product_id", "order_id", "payment_id", "session_id"):
            if name in data and not isinstance(data[name], str):
                data[name] = str(data[name])
        for index, item in enumerate(data.get("items", ())):
            item["product_id"] = str(item["product_id"])
            if "price" in item:
                item["price"] = minor(item["price"], currency, f"items[{index}].price")
        for name, value in data.get("attributes", {}).items():
            _check_attribute(value, f"$.attributes.{name}", ATTRIBUTE_DEPTH_MAX)


def _who(data: dict[str, Any]) -> str:
    """Return whom a record is about; an anonymous id counts where there is no customer, else it stays beside."""
    customer = data.pop("customer", None)
    if customer is not None:
        return checked_customer(customer)
    visitor = data.pop("anonymous_id", None)
    if visitor is None:
        raise Fault("Object missing required field `customer`", "$")
    return checked_visitor(visitor)


def _linked(data: dict[str, Any]) -> str:
    """Return the visitor who signed in: `known_id` says as whom, else the record's customer beside an anonymous id."""
    if data.get("known_id") is None and data.get("anonymous_id") is not None and data.get("customer") is not None:
        data["known_id"] = data.pop("customer")
    if data.get("known_id") is None:
        raise Fault("Object missing required field `known_id`", "$")
    data["known_id"] = checked_customer(data["known_id"], "$.known_id")
    customer = _who(data)
    data.pop("anonymous_id", None)
    return customer


def checked_visitor(value: str | int) -> str:
    """Return an anonymous id as the customer id that stands for it; Fault as for any customer id."""
    said = str(value)
    return checked_customer(said if not said or is_anonymous(said) else ANONYMOUS + said, "$.anonymous_id")


def _check_attribute(value: Any, path: str, depth: int) -> None:
    """Refuse what a state cannot keep: whole numbers beyond 64 bits, and nests of lists and objects."""
    if isinstance(value, int) and abs(value) >= 2**63:
        raise Fault("Integer value out of range", path)
    if isinstance(value, dict | list):
        if depth == 0:
            raise Fault("nested too deeply", path)
        for inner in value.values() if isinstance(value, dict) else value:
            _check_attribute(inner, path, depth - 1)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"unknown {what} {name!r}" + (f"; did you mean {near[0]}?" if near else "")


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, RecursionError):
        return Fault("nested too deeply", "$")
    reason, _, path = str(error).partition(" - at `")
    if isinstance(error, msgspec.ValidationError):
        return Fault(reason, path.rstrip("`") or "$")
    return Fault(f"not JSON: {reason}")


def checked_customer(value: str | int, path: str = "$.customer") -> str:
    """Return a customer id as text; Fault where it is empty, too long, or has control characters."""
    customer = str(value)
    if not customer:
        raise Fault("no customer", path)
    if len(customer) > CUSTOMER_ID_BYTES_MAX or len(customer.encode()) > CUSTOMER_ID_BYTES_MAX:
        raise Fault(f"a customer id of over {CUSTOMER_ID_BYTES_MAX} bytes", path)
    if not customer.isprintable():
        raise Fault("a customer id with control characters", path)
    return customer


def minor(value: Amount, currency: str, path: str) -> int:
    """Return an amount in minor units; Fault where it is none."""
    if type(value) is float and exponent(currency) == 2:
        cents = round(value * 100) if abs(value) < 1e9 else 0
        # The common case without a Decimal: the float is the nearest one to this many cents.
        if cents and cents / 100 == value:
            return cents
    try:
        return to_minor(value, currency)
    except ValueError as error:
        raise Fault(str(error), f"$.{path}") from None


@lru_cache(maxsize=4096)
def _iso_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def to_ms(value: Moment, path: str = "occurred_at") -> int:
    """Return a time in UTC milliseconds: ISO 8601, or a number of seconds or milliseconds; Fault outside 1995..2100."""
    try:
        if isinstance(value, str):
            found = _iso_ms(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            # Only the look for a record's time comes here before the types are checked.
            raise ValueError
        else:
            found = round(value * 1000) if abs(value) < SECONDS_MAX else round(value)
    except (ValueError, OverflowError):
        raise Fault(f"{value!r} is not a time", f"$.{path}") from None
    return plausible(found, value, path)


def plausible(moment_ms: int, said: Any, path: str) -> int:
    """Return a time (UTC ms) if a shop's log can hold it; Fault outside 1995..2100."""
    if not TIME_MIN_MS <= moment_ms <= TIME_MAX_MS:
        raise Fault(f"{said!r} is a time outside 1995 to 2100", f"$.{path}")
    return moment_ms
