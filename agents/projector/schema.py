"""The tables of the read model. Times are UTC milliseconds; days are in the store's zone; money is minor units.

Three kinds: *records* (one row a record of the log: decisions, receipts, events, dead letters), *state* (one row a
thing: commands, enrolments, visitors, customers) and *counters* (sums by day, which pages read). `positions` says what
of the log is in; it moves in the transaction that writes the rest. `audit` alone is not of the log: a rebuild keeps it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()


def text(name: str, *, key: bool = False, beside: str = "") -> Column[str]:
    """Return a text column that is never null; it is said anew, "" too, whenever the column `beside` is."""
    said = {"beside": beside} if beside else None
    return Column(name, Text, primary_key=key, nullable=False, server_default=None if key else "", info=said)


def big(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    """Return a column of 64 bits."""
    return Column(
        name,
        BigInteger,
        primary_key=key,
        nullable=null,
        autoincrement=False,
        server_default=None if key or null else "0",
    )


positions = Table("positions", metadata, text("topic", key=True), big("partition", key=True), big("next"))
meta = Table("meta", metadata, text("name", key=True), Column("value", LargeBinary, nullable=False))

decisions = Table(
    "decisions", metadata, big("partition", key=True), big("offset", key=True), big("at"), text("customer"),
    text("outcome"), text("reason"), text("scenario"), text("enrolment"), text("step"), text("event"), text("command"),
    text("version"), text("detail"),
    Index("decisions_customer", "customer", "at"), Index("decisions_at", "at"),
)  # fmt: skip
receipts = Table(
    "receipts", metadata, big("partition", key=True), big("offset", key=True), big("at"), text("customer"),
    text("command"), text("state"), text("reason"), text("channel"), text("scenario"), text("step"), text("provider"),
    Index("receipts_customer", "customer", "at"), Index("receipts_at", "at"),
)  # fmt: skip
events = Table(
    "events", metadata, big("partition", key=True), big("offset", key=True), big("number", key=True), big("at"),
    text("customer"), text("id"), text("type"), text("data"), big("arrived_at"), text("source"),
    big("source_partition"), big("source_offset"),
    Index("events_customer", "customer", "at"), Index("events_at", "at"),
)  # fmt: skip
dead_letters = Table(
    "dead_letters", metadata, big("partition", key=True), big("offset", key=True), big("at"), text("stage"),
    text("reason"), text("source"), big("source_partition"), big("source_offset"), text("path"),
    Column("value", LargeBinary, nullable=True), big("replayed_at"), Index("dead_letters_at", "at"),
)  # fmt: skip

commands = Table(
    "commands", metadata, text("id", key=True), text("customer"), text("scenario"), text("step"), text("channel"),
    text("purpose"), text("enrolment"), text("version"), text("source"), big("source_offset"),
    big("due_at"), big("emitted_at"), text("state"), text("reason", beside="state"),
    big("ended_at"), big("opened_at"), big("clicked_at"), big("valid_until"), text("plan"),
    Index("commands_customer", "customer", "due_at"), Index("commands_due", "due_at"),
    Index("commands_scenario", "scenario", "due_at"),
)  # fmt: skip
enrolments = Table(
    "enrolments", metadata, text("id", key=True), text("customer"), text("scenario"), text("version"),
    big("entered_at"), text("day"), Column("held_out", Boolean, nullable=False), text("step"), text("ended"),
    big("ended_at"), big("goal_at"), big("value"),
    Index("enrolments_customer", "customer", "entered_at"), Index("enrolments_ended", "ended_at"),
    Index("enrolments_inside", "scenario", "step", "ended", "entered_at"),
)  # fmt: skip
visitors = Table("visitors", metadata, text("id", key=True), Column("state", LargeBinary, nullable=False), big("at"))
# On a cluster the changelog's last values: `kind` is the key's type byte, h (hot) or c (cold). Empty beside a folder.
customers = Table(
    "customers", metadata, text("id", key=True), text("kind", key=True), Column("value", LargeBinary, nullable=False),
)  # fmt: skip
attempts = Table(
    "attempts", metadata, text("id", key=True), text("funnel"), text("customer"), big("at"), text("day"),
    big("reached"), text("segment"), text("device"), text("channel"),
    Index("attempts_funnel", "funnel", "reached", "at"), Index("attempts_at", "at"),
)  # fmt: skip

counts = Table(
    "counts", metadata, text("day", key=True), text("scenario", key=True), text("version", key=True),
    text("outcome", key=True), text("step", key=True), text("reason", key=True), big("n"),
)  # fmt: skip
inside = Table(
    "inside", metadata, text("scenario", key=True), text("version", key=True), text("step", key=True), big("n"),
)  # fmt: skip
arms = Table(
    "arms", metadata, text("day", key=True), text("scenario", key=True), text("version", key=True),
    Column("held_out", Boolean, primary_key=True), big("entered"), big("goals"), big("value"),
    # A sum of squares of minor units outgrows 64 bits: it is kept in whole units of money, squared.
    big("squares"),
)  # fmt: skip
credits_ = Table(
    "credits", metadata, text("day", key=True), text("scenario", key=True), text("step", key=True),
    text("by", key=True), big("orders"), big("value"),
)  # fmt: skip
nodes = Table(
    "nodes", metadata, text("day", key=True), text("segment", key=True), text("name", key=True), big("visits"),
    big("unnamed"), big("value"), big("reached"), Index("nodes_segment", "segment", "day"),
)  # fmt: skip
edges = Table(
    "edges", metadata, text("day", key=True), text("segment", key=True), text("source", key=True),
    text("target", key=True), big("n"), big("ms"), big("value"), Index("edges_segment", "segment", "day"),
)  # fmt: skip
stages = Table(
    "stages", metadata, text("day", key=True), text("funnel", key=True), big("step", key=True),
    text("segment", key=True), text("device", key=True), text("channel", key=True), big("n"),
    Index("stages_segment", "segment", "day"),
)  # fmt: skip
memberships = Table(
    "memberships", metadata, text("day", key=True), text("name", key=True), big("entered"), big("gone"),
)  # fmt: skip
# Who is in which segment, step of a level ("level:step") or threshold of a score now, and since when (UTC ms).
members = Table(
    "members", metadata, text("customer", key=True), text("name", key=True), big("since"),
    Index("members_name", "name", "since"),
)  # fmt: skip
# Plans that went live and scenarios that were switched: `kind` is plan or switch.
controls = Table(
    "controls", metadata, text("id", key=True), text("kind"), text("plan"), text("scenario"), text("state"), big("at"),
)  # fmt: skip

audit = Table(
    "audit", metadata, Column("number", Integer, primary_key=True, autoincrement=True), big("at"), text("who"),
    text("action"), text("target"), text("detail"), Index("audit_at", "at"),
)  # fmt: skip

# What a rebuild empties: all that the log says.
OF_THE_LOG = tuple(table for table in metadata.sorted_tables if table is not audit)
