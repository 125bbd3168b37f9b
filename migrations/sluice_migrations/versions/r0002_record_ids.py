"""The ids of records that are appended to tables which no unique index can span."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "record_ids",
        sa.Column("job_uid", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_uid", "record_id"),
        schema="sluice",
        comment="Records of jobs that keep their ids apart, for as long as they can be replayed.",
    )
    op.create_index(
        "record_ids_position",
        "record_ids",
        ["job_uid", "generation", "partition", "record_offset"],
        schema="sluice",
    )


def downgrade() -> None:
    """Drop the table; its index goes with it."""
    op.drop_table("record_ids", schema="sluice")
