"""What Alembic runs: with the connection that it is given, or one of its own."""

import asyncio
import logging
import os

from alembic import context

from sluice_api.errors import SluiceError
from sluice_migrations import database, environment

URI_VARIABLE = "SLUICE_DATABASE_URI"


def run() -> None:
    """Run the migrations."""
    given = context.config.attributes.get("connection")
    if given is not None:
        environment.migrate(context, given)  # type: ignore[arg-type]  # the proxy of the context
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if context.is_offline_mode():
        raise SystemExit("--sql is not offered: a migration looks at the database first")
    uri = context.get_x_argument(as_dictionary=True).get("uri") or os.environ.get(URI_VARIABLE)
    if not uri:
        raise SystemExit(f"give the database: alembic -x uri=postgresql://…, or {URI_VARIABLE}")
    try:
        asyncio.run(database.within(uri, lambda found: environment.migrate(context, found)))  # type: ignore[arg-type]
    except SluiceError as error:
        raise SystemExit(str(error)) from error


run()
