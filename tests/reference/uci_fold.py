"""A naive fold over the retail invoices: lines without a customer, and orders by customer.

Imports nothing of the project.
"""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Retail:
    lines: int = 0
    without_customer: int = 0
    orders: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    cancellations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    # Customers with an invoice whose lines stand apart in the file, another customer's between them.
    apart: set[str] = field(default_factory=set)


def fold(path: Path) -> Retail:
    """Count lines, lines without a customer, and the distinct invoices of each customer."""
    retail = Retail()
    seen: set[tuple[str, str]] = set()
    before = ("", "")
    with gzip.open(path, "rt", newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            retail.lines += 1
            customer = row["CustomerID"].removesuffix(".0")
            invoice = (row["InvoiceNo"], customer)
            if customer and invoice != before and invoice in seen:
                retail.apart.add(customer)
            seen.add(invoice)
            before = invoice
            if not customer:
                retail.without_customer += 1
            elif row["InvoiceNo"].startswith("C"):
                retail.cancellations[customer].add(row["InvoiceNo"])
            else:
                retail.orders[customer].add(row["InvoiceNo"])
    return retail
