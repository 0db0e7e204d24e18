"""The journey map and a funnel of the clickstream file, by a short program that shares nothing with the product."""

import csv
import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

GAP = timedelta(minutes=30)
NAMES = {"view": "look", "cart": "basket", "purchase": "order_placed"}


def lines(path: Path) -> dict[str, list[tuple[datetime, str, int]]]:
    """Customer -> (time, touchpoint, price in cents), in the file's order; a line that was there says nothing new."""
    found: dict[str, list[tuple[datetime, str, int]]] = {}
    seen = set()
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            line = tuple(row.values())
            if line in seen:
                continue
            seen.add(line)
            at = datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
            cents = round(Decimal(row["price"]) * 100)
            found.setdefault(row["user_id"], []).append((at, NAMES[row["event_type"]], cents))
    return found


def rows(path: Path) -> dict[str, list[tuple[datetime, str]]]:
    """Customer -> (time, touchpoint)."""
    return {customer: [(at, name) for at, name, _ in history] for customer, history in lines(path).items()}


def journey_map(path: Path) -> tuple[Counter[str], Counter[tuple[str, str]], Counter[str]]:
    """Visits by touchpoint, transitions, and seconds spent by touchpoint."""
    visits: Counter[str] = Counter()
    moves: Counter[tuple[str, str]] = Counter()
    seconds: Counter[str] = Counter()
    for history in rows(path).values():
        last: tuple[datetime, str] | None = None
        for at, name in history:
            visits[name] += 1
            if last is not None and at - last[0] <= GAP:
                moves[last[1], name] += 1
                seconds[last[1]] += int((at - last[0]).total_seconds())
            else:
                moves["", name] += 1
            last = (at, name)
    return visits, moves, seconds


def funnel(path: Path, within: timedelta) -> list[int]:
    """How many attempts came to each of look, basket, order_placed."""
    steps = ["look", "basket", "order_placed"]
    reached = [0, 0, 0]
    for history in rows(path).values():
        start, done = datetime.min.replace(tzinfo=UTC), 3
        for at, name in history:
            if done == 3 or at - start > within:
                if name == steps[0]:
                    start, done = at, 1
                    reached[0] += 1
            elif name == steps[done]:
                reached[done] += 1
                done += 1
    return reached


def leaks(path: Path) -> dict[str, tuple[int, int]]:
    """How many sessions ended at each touchpoint, and with what in the carts (cents): an order empties a cart."""
    ended: Counter[str] = Counter()
    money: Counter[str] = Counter()
    for history in lines(path).values():
        cart = 0
        for number, (at, name, price) in enumerate(history):
            cart = cart + price if name == "basket" else 0 if name == "order_placed" else cart
            if number + 1 == len(history) or history[number + 1][0] - at > GAP:
                ended[name] += 1
                money[name] += cart
    return {name: (count, money[name]) for name, count in ended.items()}
