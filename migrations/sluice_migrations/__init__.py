"""The database's schema: Alembic's revisions of the schema ``sluice``, and managed tables."""
