"""Validation: what any mapping gives, or a native record says, becomes a typed event or a fault with its path."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from models.customer import CartItem
from models.event_types import PAYLOADS, Payload
from models.ids import CUSTOMER_ID_BYTES_MAX
from models.money import exponent, to_minor

# A plausible range for a shop's log: outside it a clock or a unit is wrong.
TIME_MIN_MS = 788_918_400_000  # 1995-01-01
TIME_MAX_MS = 4_102_444_800_000  # 2100-01-01
SECONDS_MAX = 100_000_000_000  # a number below this is seconds, not milliseconds
Amount = int | float | str
Moment = int | float | str
DECLARED: dict[str, Any] = {
    "string": str, "int": int, "number": float, "bool": bool, "money": Amount, "time": Moment, "date": str,
}  # fmt: skip
MONEY_FIELDS = ("price", "total", "amount")
TIME_FIELDS = ("due_on", "expected_at")
ENVELOPE = ("type", "id", "customer", "occurred_at")


class Fault(Exception):
    """A record is refused: the reason, and the path of the place inside it."""

    def __init__(self, reason: str, path: str = ""):
        super().__init__(reason)
        self.reason = reason
        self.path = path


def _raw_item() -> type[msgspec.Struct]:
    fields: list[Any] = [("product_id", str | int)]
    for field in msgspec.structs.fields(CartItem)[1:]:
        kind = Amount if field.name == "price" else field.type
        fields.append((field.name, kind | None, None))
    return msgspec.defstruct("Item", fields, kw_only=True, omit_defaults=True)


RAW_ITEM = _raw_item()


def _raw_type(name: str, payload: type[Payload]) -> type[msgspec.Struct]:
    """Return the class that a source's record of a type is read into: amounts and times as sources write them."""
    fields: list[Any] = [("customer", str | int), ("occurred_at", Moment), ("id", str | int | None, None)]
    for field in msgspec.structs.fields(payload):
        kind: Any = field.type
        if field.name in MONEY_FIELDS:
            kind = Amount | None if not field.required else Amount
        elif field.name in TIME_FIELDS:
            kind = Moment | None
        elif field.name == "items":
            kind = list[RAW_ITEM]  # type: ignore[valid-type]
        elif field.name.endswith("_id"):
            kind = str | int if field.required else str | int | None
        if field.required:
            fields.append((field.name, kind))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, kind, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, kind, field.default))
    return msgspec.defstruct(
        f"Raw_{name}", fields, tag_field="type", tag=name, kw_only=True, omit_defaults=True, gc=False
    )


def _custom_type(name: str, declared: Mapping[str, str]) -> type[msgspec.Struct]:
    fields: list[Any] = [("customer", str | int), ("occurred_at", Moment), ("id", str | int | None, None)]
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
        self._union = union

    def decode(self, value: bytes) -> tuple[str, str | None, str, int, dict[str, Any]]:
        """Read a native record: (type, source id, customer, occurred_at, data); Fault says what is wrong and where."""
        try:
            raw = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _fault_of(error) from None
        return self._finish(raw)

    def convert(self, fields: dict[str, Any]) -> tuple[str, str | None, str, int, dict[str, Any]]:
        """Read what a mapping gave; texts stand for numbers where numbers are meant."""
        try:
            raw = msgspec.convert(fields, self._union, strict=False)
        except msgspec.ValidationError as error:
            raise _fault_of(error) from None
        return self._finish(raw)

    def _finish(self, raw: Any) -> tuple[str, str | None, str, int, dict[str, Any]]:
        data: dict[str, Any] = msgspec.to_builtins(raw)
        kind = data.pop("type")
        customer = checked_customer(data.pop("customer"))
        occurred_at = to_ms(data.pop("occurred_at"))
        source_id = data.pop("id", None)
        self._units(data, kind)
        return kind, None if source_id is None else str(source_id), customer, occurred_at, data

    def _units(self, data: dict[str, Any], kind: str) -> None:
        currency = data.get("currency") or self.currency
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


def _fault_of(error: Exception) -> Fault:
    reason, _, path = str(error).partition(" - at `")
    if isinstance(error, msgspec.ValidationError):
        return Fault(reason, path.rstrip("`"))
    return Fault(f"not JSON: {reason}")


def checked_customer(value: str | int) -> str:
    """Return a customer id as text; Fault where it is empty, too long, or has control characters."""
    customer = str(value)
    if not customer:
        raise Fault("no customer", "$.customer")
    if len(customer) > CUSTOMER_ID_BYTES_MAX or len(customer.encode()) > CUSTOMER_ID_BYTES_MAX:
        raise Fault(f"a customer id of over {CUSTOMER_ID_BYTES_MAX} bytes", "$.customer")
    if not customer.isprintable():
        raise Fault("a customer id with control characters", "$.customer")
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
        else:
            found = round(value * 1000) if abs(value) < SECONDS_MAX else round(value)
    except (ValueError, OverflowError):
        raise Fault(f"{value!r} is not a time", f"$.{path}") from None
    if not TIME_MIN_MS <= found <= TIME_MAX_MS:
        raise Fault(f"{value!r} is a time outside 1995 to 2100", f"$.{path}")
    return found
