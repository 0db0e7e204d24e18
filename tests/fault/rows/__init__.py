"""All rows by name, in the order in which they run."""

from tests.fault.nemesis import Row
from tests.fault.rows import broker, kills, provider, records

ROWS: dict[str, Row] = {row.name: row for part in (kills, broker, records, provider) for row in part.ROWS}
