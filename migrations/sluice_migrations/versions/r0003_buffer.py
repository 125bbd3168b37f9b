"""The durable buffer: records that writers have passed and mergers have not merged yet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "buffer",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "appended_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.clock_timestamp(),
            nullable=False,
        ),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_uid", "generation", "partition", "id"),
        schema="sluice",
        comment="Chunks of records, one partition each: appended with their offsets, then merged.",
    )
    # A body is compressed already; and what comes and goes must not wait for a fifth of the table.
    op.execute("ALTER TABLE sluice.buffer ALTER COLUMN body SET STORAGE EXTERNAL")
    op.execute(
        "ALTER TABLE sluice.buffer SET"
        " (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)"
    )
    op.create_table(
        "slices",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_uid", "generation", "partition"),
        schema="sluice",
        comment="A row for each partition in the buffer: who merges it holds the row's lock.",
    )


def downgrade() -> None:
    """Drop the tables; what was not merged is lost."""
    op.drop_table("slices", schema="sluice")
    op.drop_table("buffer", schema="sluice")
