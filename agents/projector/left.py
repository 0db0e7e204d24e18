"""What the read model holds of one customer."""

from sqlalchemy import Engine, func, select

from agents.projector.schema import OF_THE_LOG


def rows_of(engine: Engine, customer: str) -> int:
    """Return how many rows name a customer."""
    with engine.connect() as connection:
        return sum(
            connection.execute(select(func.count()).where(table.c.customer == customer)).scalar_one()
            for table in OF_THE_LOG
            if "customer" in table.c
        )
