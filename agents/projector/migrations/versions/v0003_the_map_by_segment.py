"""The map and funnels of one segment are one range of an index, however many segments there are."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("nodes", "edges", "stages")


def upgrade() -> None:
    """Make the indexes."""
    for table in TABLES:
        op.create_index(f"{table}_segment", table, ["segment", "day"])


def downgrade() -> None:
    """Drop them."""
    for table in reversed(TABLES):
        op.drop_index(f"{table}_segment", table)
