"""The offsets that rows are committed with, and the history of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the schema is there, since Alembic's own table lives in it."""
    op.create_table(
        "offsets",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("job_uid", "generation", "partition"),
        schema="sluice",
        comment="The next record of each partition, committed with the rows before it.",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seeded_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("items", sa.BigInteger()),
        sa.Column("records", sa.BigInteger()),
        sa.Column("failed", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        schema="sluice",
        comment="The history of runs, for people.",
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("runs", schema="sluice")
    op.drop_table("offsets", schema="sluice")
