"""Opens the read model: SQLite in a data folder, PostgreSQL in a cluster; migrations by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from agents.projector.schema import OF_THE_LOG
from pipeline.errors import RunError, UsageError

MIGRATIONS = Path(__file__).parent / "migrations"
PASSWORD = "PARCOURS_DATABASE_PASSWORD"  # noqa: S105 - the name of a variable, not a password


def sqlite_url(folder: Path) -> str:
    """Return the read model's address in a data folder."""
    return f"sqlite:///{folder / 'console.sqlite'}"


def open_database(url: str, *, password: str = "") -> Engine:
    """Return an engine, its connections set up; UsageError where the address is none of ours. Nothing is asked yet."""
    try:
        place = make_url(url)
    except ArgumentError:
        raise UsageError("--database: write sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    backend = place.get_backend_name()
    if backend == "postgresql":
        place = place.set(drivername="postgresql+psycopg")
        if password:
            place = place.set(password=password)
        return create_engine(place, pool_pre_ping=True, pool_size=5, connect_args={"connect_timeout": 5})
    if backend != "sqlite":
        raise UsageError(f"--database: {backend} is not supported: sqlite or postgresql")
    engine = create_engine(place, connect_args={"check_same_thread": False, "timeout": 15})
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(raw: object, _: object) -> None:
    # Readers see the last commit while the projector writes; a lost last commit is read again from the log.
    for said in ("journal_mode = wal", "synchronous = normal", "temp_store = memory", "cache_size = -64000"):
        raw.execute(f"pragma {said}")  # type: ignore[attr-defined]


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Bring the tables to this release; RunError where the database cannot be asked or is of a newer release."""
    try:
        with engine.begin() as connection:
            command.upgrade(_config(connection), "head")
    except SQLAlchemyError as error:
        raise RunError(f"the read model cannot be opened: {type(error).__name__}: {cause_of(error)}") from None
    except CommandError as error:
        raise RunError(f"the read model is of another release ({error}): drop it, it is made again") from None


def cause_of(error: BaseException) -> str:
    """Return the driver's own words, without the statement or its values."""
    said = getattr(error, "orig", None) or error
    return (str(said).splitlines() or [""])[0][:200]


def empty(engine: Engine) -> None:
    """Throw away all that the log says: the projector makes it again from the log's beginning. The audit stays."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            names = ", ".join(engine.dialect.identifier_preparer.quote(table.name) for table in OF_THE_LOG)
            connection.execute(text(f"truncate {names}"))
            return
        for table in reversed(OF_THE_LOG):
            connection.execute(table.delete())
