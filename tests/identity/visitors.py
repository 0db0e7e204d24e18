"""People with two devices each, who sign in at every possible moment: their rows, and the records that a store writes."""

import random
from typing import Any

from models.ids import digest

SECOND, MINUTE = 1_000, 60_000


def _moment(dice: random.Random, first: float, last: float) -> int:
    return round(dice.uniform(first, last) * MINUTE)


def rows_of(seed: int, number: int, *, late: bool = True) -> list[dict[str, Any]]:
    """Return one person's rows, times in ms from the beginning; `late`: some sign in when a reminder was due long ago."""
    dice = random.Random(f"{seed}/{number}")
    known = f"c{number}"
    rows: list[dict[str, Any]] = [{"what": "person", "who": known, "at": 0}]
    if dice.random() < 0.3:
        rows.append({"what": "cart", "who": known, "at": _moment(dice, 0.1, 20), "items": ["own"]})
    for name in ("a", "b"):
        rows += _device(dice, f"anon:{number}{name}", name, known, late=late)
    if dice.random() < 0.25:
        rows.append({"what": "order", "who": known, "at": _moment(dice, 5, 60 if late else 25)})
    # No two things at one millisecond: what is first then is a question of ids, which the reference does not ask.
    for index, row in enumerate(sorted(rows, key=lambda row: row["at"])):
        row["at"] = row["at"] // 100 * 100 + index
    return rows


def _device(dice: random.Random, who: str, name: str, known: str, *, late: bool) -> list[dict[str, Any]]:
    end = 30 if late else 20
    carts = sorted(_moment(dice, 0.1, end) for _ in range(dice.choice((0, 1, 1, 2, 3))))
    rows: list[dict[str, Any]] = [
        {"what": "cart", "who": who, "at": at, "items": [f"{name}{n}" for n in range(dice.randrange(1, 4))]}
        for at in carts
    ]
    moments = [(0.1, 3), (0.1, end), (end, end + 5), (end, end + 5)]
    if late:
        moments += [(50, 110), (200, 300)]
    when = dice.choice([*moments, None])
    if when is None:
        return rows
    at = _moment(dice, *when)
    rows.append({"what": "sign_in", "who": who, "at": at, "known": known})
    if dice.random() < 0.2:
        rows.append({"what": "sign_in", "who": who, "at": at + MINUTE, "known": known})
    if dice.random() < 0.1:
        rows.append({"what": "sign_in", "who": who, "at": at + 2 * MINUTE, "known": f"guest-of-{known}"})
    return rows


def record_of(row: dict[str, Any], began: int) -> dict[str, Any]:
    """Return the native record of a row; the ids of visitors stand as their sources write them."""
    at, who = began + row["at"], row["who"]
    said: dict[str, Any] = {"occurred_at": at, "id": digest(row["what"], who, str(row["at"]))}
    said |= {"anonymous_id": who.removeprefix("anon:")} if who.startswith("anon:") else {"customer": who}
    match row["what"]:
        case "person":
            return {"type": "customer_updated", "email": f"{who}@shop.example", **said}
        case "cart":
            items = [{"product_id": one, "price": 20, "quantity": 1} for one in row["items"]]
            return {"type": "cart_updated", "items": items, **said}
        case "order":
            return {"type": "order_placed", "order_id": f"o-{who}", "total": 20, **said}
    return {"type": "identity_linked", "known_id": row["known"], **said}
