"""Version 2: what is assigned to an appliance."""

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, LargeBinary, PrimaryKeyConstraint, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the two tables, empty."""
    op.create_table(
        "assignment_list",
        Column("appliance_id", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("made_utc_ms", BigInteger, nullable=False),
        Column("line", LargeBinary, nullable=False),
        *_keys("assignment_list"),
    )
    op.create_table(
        "assignment",
        Column("appliance_id", BigInteger, nullable=False),
        Column("endpoint_id", BigInteger, nullable=False),
        Column("protocol", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("address", Text, nullable=False),
        Column("multiplier", Text, nullable=False),
        *_keys("assignment", "endpoint_id", "protocol"),
    )


def _keys(table: str, *columns: str) -> tuple[PrimaryKeyConstraint, ForeignKeyConstraint]:
    """The primary key of a table by appliance, and the foreign one, named as in the schema."""
    return (
        PrimaryKeyConstraint("appliance_id", *columns, name=f"{table}_pkey"),
        ForeignKeyConstraint(["appliance_id"], ["appliance.appliance_id"], name=f"{table}_appliance_id_known"),
    )
