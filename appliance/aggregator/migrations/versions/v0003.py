"""Version 3: operators, who of them has logged in, and what they did."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

revision = "0003"
down_revision = "0002"

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make the three tables, empty."""
    op.create_table(
        "operator",
        Column("operator_id", _NUMBER, nullable=False),
        Column("name", Text, nullable=False),
        Column("password", Text, nullable=False),
        Column("made_utc_ms", BigInteger, nullable=False),
        Column("changed_utc_ms", BigInteger, nullable=False),
        Column("disabled_utc_ms", BigInteger),
        PrimaryKeyConstraint("operator_id", name="operator_pkey"),
        UniqueConstraint("name", name="operator_name_unique"),
    )
    op.create_table(
        "operator_session",
        Column("token_sha256", Text, nullable=False),
        Column("operator_id", BigInteger, nullable=False),
        Column("made_utc_ms", BigInteger, nullable=False),
        Column("used_utc_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("token_sha256", name="operator_session_pkey"),
        ForeignKeyConstraint(["operator_id"], ["operator.operator_id"], name="operator_session_operator_id_known"),
    )
    op.create_table(
        "audit",
        Column("number", _NUMBER, nullable=False),
        Column("at_utc_ms", BigInteger, nullable=False),
        Column("who", Text, nullable=False),
        Column("what", Text, nullable=False),
        Column("about", Text, nullable=False),
        Column("detail", Text, nullable=False),
        PrimaryKeyConstraint("number", name="audit_pkey"),
    )
    op.create_index("audit_of", "audit", ["about", "number"])
