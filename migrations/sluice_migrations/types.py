"""SQLAlchemy's types for the types that a job names."""

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine, UserDefinedType

from sluice_api.column_type import TypeParts, parts


class OwnType(UserDefinedType[Any]):
    """A type of the user's own, by its name with the schema."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_given: Any) -> str:
        """Return what stands in the table's definition."""
        return parts(self.name).sql

    def __repr__(self) -> str:
        return f"OwnType({self.name!r})"


_PLAIN: Final[dict[str, Callable[..., TypeEngine[Any]]]] = {
    "text": sa.Text,
    "varchar": sa.String,
    "char": sa.CHAR,
    "boolean": sa.Boolean,
    "smallint": sa.SmallInteger,
    "integer": sa.Integer,
    "bigint": sa.BigInteger,
    "real": sa.REAL,
    "double precision": sa.Double,
    "numeric": sa.Numeric,
    "date": sa.Date,
    "uuid": sa.Uuid,
    "json": pg.JSON,
    "jsonb": pg.JSONB,
    "bytea": sa.LargeBinary,
    "inet": pg.INET,
    "cidr": pg.CIDR,
    "interval": pg.INTERVAL,
}
_TIMES: Final[dict[str, Callable[..., TypeEngine[Any]]]] = {
    "time": lambda precision=None: pg.TIME(precision=precision),
    "timestamp": lambda precision=None: pg.TIMESTAMP(precision=precision),
    "timestamptz": lambda precision=None: pg.TIMESTAMP(timezone=True, precision=precision),
}


def sql_type(given: TypeParts) -> TypeEngine[Any]:
    """Return the type by which SQLAlchemy declares a column."""
    if given.own:
        return OwnType(str(given))
    element = (_PLAIN | _TIMES)[given.base](*given.modifiers)
    return sa.ARRAY(element) if given.array else element
