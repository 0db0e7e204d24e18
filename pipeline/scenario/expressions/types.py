"""Static types of expressions, read off the records that hold the values."""

import types as python_types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec


@dataclass(frozen=True)
class Type:
    """A kind, with the element type of a list or map and the fields of an object."""

    kind: str  # int double string bool null money time date duration list map object dyn
    element: "Type | None" = None
    fields: Mapping[str, "Type"] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return the type as a person reads it."""
        return f"{self.kind} of {self.element}" if self.element else self.kind


INT, DOUBLE, STRING, BOOL, NULL = Type("int"), Type("double"), Type("string"), Type("bool"), Type("null")
MONEY, TIME, DURATION, DYN = Type("money"), Type("time"), Type("duration"), Type("dyn")
DATE = Type("date")
NUMBERS = {"int", "double"}
ORDERED = {"int", "double", "string", "money", "time", "date", "duration", "bool"}
DECLARED = {"string": STRING, "int": INT, "number": DOUBLE, "bool": BOOL, "money": MONEY, "time": TIME, "date": DATE}


def of_annotation(annotation: Any) -> Type:
    """Return the type of a record's field: `Annotated[int, "money"]` is money, a bare int a count."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Type(arguments[1])
    if origin in {Union, python_types.UnionType}:
        return of_annotation(next(one for one in arguments if one is not type(None)))
    if origin in {list, tuple}:
        return Type("list", of_annotation(arguments[0]))
    if origin is dict:
        return Type("map", of_annotation(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return of_record(annotation)
    return {int: INT, float: DOUBLE, str: STRING, bool: BOOL}.get(annotation, DYN)


def of_record(record: type[msgspec.Struct]) -> Type:
    """Return the object type of a record."""
    hints = get_type_hints(record, include_extras=True)
    return Type("object", fields={name: of_annotation(hints[name]) for name in record.__struct_fields__})
