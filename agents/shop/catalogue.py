"""What the simulated store sells."""

from dataclasses import dataclass

MATERIALS = ("Linen", "Oak", "Clay", "Wool", "Brass", "Cork")
THINGS = {
    "lighting": ("lamp", "lantern", "candle"),
    "kitchen": ("bowl", "board", "jug"),
    "textiles": ("throw", "cushion", "apron"),
    "garden": ("planter", "trowel", "stool"),
}


@dataclass(frozen=True)
class Product:
    """One article; the price is in cents."""

    id: str
    name: str
    category: str
    price: int


def products() -> list[Product]:
    """Return the whole range, the same every time."""
    found = []
    for category, things in THINGS.items():
        for thing in things:
            for number, material in enumerate(MATERIALS):
                price = 900 + 700 * number + 450 * len(thing)
                found.append(Product(f"{material[:2]}{thing}".lower(), f"{material} {thing}", category, price))
    return found
