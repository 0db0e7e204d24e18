"""Rows of a catalogue: read from JSON lines, a JSON file or CSV, and from records of the topic `products`.

A product is an object with `product_id` (or `id`); a list one with `list`. A row that cannot be used is left out and
named; the others count.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from models.catalogue import Product, Ranking
from models.money import to_minor

Row = Product | Ranking
ID_CHARS_MAX = 256


class RowError(Exception):
    """A row of a catalogue that cannot be used; the text says why."""


def row_of(said: Any) -> Row:
    """Return the product or list that an object says; RowError where it says none."""
    if not isinstance(said, dict):
        raise RowError("a row is an object in braces")
    try:
        if "list" in said:
            return msgspec.convert(said, Ranking)
        product = msgspec.convert(_named(said), Product, strict=False)
    except msgspec.ValidationError as error:
        raise RowError(str(error)) from None
    if not 0 < len(product.product_id) <= ID_CHARS_MAX:
        raise RowError(f"product_id has 1 to {ID_CHARS_MAX} characters")
    if product.price is not None:
        try:
            to_minor(product.price, "BHD")
        except ValueError as error:
            raise RowError(f"price: {error}") from None
    return product


def _named(said: dict[str, Any]) -> dict[str, Any]:
    """Read `id` for `product_id`; a number is a name too, and an empty cell says nothing."""
    found = {name: value for name, value in said.items() if value not in ("", None)}
    name = found.pop("product_id", None) or found.pop("id", None)
    return {**found, "product_id": str(name)} if isinstance(name, str | int) else found


def decode_row(raw: bytes) -> Row:
    """Return the row that JSON holds; RowError where it holds none."""
    try:
        # Decimals as they are written: a float would round a price.
        return row_of(json.loads(raw, parse_float=str))
    except (ValueError, RecursionError) as error:
        raise RowError(f"no JSON: {error}") from None


def rows_of(name: str, text: str) -> Iterator[Row | str]:
    """Yield the rows of a file by its ending (.csv, .json, else a row a line), and a sentence for each that is none."""
    if name.endswith(".csv"):
        said: Iterator[tuple[int, Any]] = enumerate(csv.DictReader(io.StringIO(text)), 2)
    elif name.endswith(".json"):
        said = enumerate(_array(text), 1)
    else:
        said = ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
    for number, one in said:
        try:
            yield decode_row(one.encode()) if isinstance(one, str) else row_of(one)
        except RowError as error:
            yield f"{name}:{number}: {error}"


def _array(text: str) -> list[Any]:
    """Return the rows of a JSON file: an array, or an object with `products`, `lists` or both."""
    try:
        found = json.loads(text, parse_float=str)
    except ValueError as error:
        return [f"no JSON: {error}"]
    if isinstance(found, dict):
        return [*_list(found.get("products")), *_list(found.get("lists"))]
    return _list(found)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def encode_row(row: Row) -> bytes:
    """Return a row as JSON, on one line."""
    return msgspec.json.encode(row)
