"""Version 2: what serving remembers of users, and how long an open decision stays open."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = None


def upgrade() -> None:
    """Add the table `minds` and the column `unfinished.until`."""
    op.add_column(
        "unfinished", sa.Column("until", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_table(
        "minds",
        sa.Column("tenant", sa.String(200), primary_key=True),
        sa.Column("user_id", sa.String(200), primary_key=True),
        sa.Column("encoder_id", sa.String(200), primary_key=True),
        sa.Column("last_ts", sa.BigInteger, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=True),
        sa.Column("episode_id", sa.String(200), nullable=True),
        sa.Column("curve_value", sa.Double, nullable=False),
        sa.Column("curve_scale", sa.Double, nullable=False),
        sa.Column("curve_count", sa.Integer, nullable=False),
        sa.Column("last_arm", sa.String(200), nullable=True),
    )
