"""Who is in which segment, which plans went live, and where an event was read: for causes on the customer's page."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADDED = (
    ("events", "arrived_at", sa.BigInteger),
    ("events", "source", sa.Text),
    ("events", "source_partition", sa.BigInteger),
    ("events", "source_offset", sa.BigInteger),
    ("commands", "valid_until", sa.BigInteger),
    ("commands", "plan", sa.Text),
)


def _column(name: str, kind: type[sa.BigInteger | sa.Text], *, key: bool = False) -> sa.Column[Any]:
    default = None if key else "0" if kind is sa.BigInteger else ""
    return sa.Column(name, kind(), primary_key=key, nullable=False, server_default=default)


def upgrade() -> None:
    """Add the columns and tables; rows that are there already say nothing in them."""
    for table, name, kind in ADDED:
        op.add_column(table, _column(name, kind))
    op.create_table(
        "members", _column("customer", sa.Text, key=True), _column("name", sa.Text, key=True),
        _column("since", sa.BigInteger),
    )  # fmt: skip
    op.create_index("members_name", "members", ["name", "since"])
    op.create_table(
        "controls", _column("id", sa.Text, key=True), _column("kind", sa.Text), _column("plan", sa.Text),
        _column("scenario", sa.Text), _column("state", sa.Text), _column("at", sa.BigInteger),
    )  # fmt: skip


def downgrade() -> None:
    """Take them back."""
    op.drop_table("controls")
    op.drop_table("members")
    for table, name, _ in reversed(ADDED):
        op.drop_column(table, name)
