"""The aggregator's tables, the same on SQLite and on PostgreSQL. `migrations/` makes them.

    appliance ─┬─ appliance_key ── chain              meter
               ├─ batch, waiting_batch, given_up        │
               ├─ boot                                  │
               ├─ assignment_list, assignment           │
               └─ refusal, refusal_count                │
    operator ──── operator_session     audit   reading, reception, event

Large: `reading`, `reception`, `event`. On PostgreSQL they are partitioned by the month of their `at`, and the
distribution column `meter_id` is in each of their unique and foreign keys, so that Citus can distribute them by it.
By appliance: `chain`, `batch`, `waiting_batch`, `given_up`, `boot`, `assignment_list` and `assignment`, all of whose
unique and foreign keys hold `appliance_id`. The rest is small enough for every node to keep it whole.

`meter_id` is the aggregator's own number of a meter; what the meter calls itself on the air is its `endpoint_id`. A row
of a large table belongs to the appliance that heard it, and (`appliance_id`, `boot_id`, `ms`) is its place there: a
second telling of it is no other row, and better knowledge of its time moves its `at`. A meter that two appliances
hear has rows of both. Registers are cumulative, so a question for the register at an instant takes the latest row
before it, whoever heard it; a question for how well a meter is heard takes the appliance that it asks about.

Times are whole milliseconds since 1970, UTC; `uncertainty_ms` is NULL where nothing bounds it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

LARGE = ("reading", "reception", "event")
NO_METER = 0
"""The `meter_id` of an event that is not of a meter."""
NO_APPLIANCE = 0
"""The `appliance_id` of what was refused without that it is known whose it was."""

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_unique",
        "fk": "%(table_name)s_%(column_0_name)s_known",
        "ix": "%(table_name)s_%(column_0_name)s",
    }
)
# SQLite numbers rows by itself only in a column of exactly this type.
Number = BigInteger().with_variant(Integer, "sqlite")


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _maybe(name: str) -> Column[int | None]:
    return Column(name, BigInteger)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


appliance = Table(
    "appliance",
    metadata,
    Column("appliance_id", Number, primary_key=True),
    Column("identity", Text, nullable=False, unique=True),
    _text("name"),
    _text("version"),
    _text("claim"),
    _text("state"),
    _whole("enrolled_utc_ms"),
    _maybe("approved_utc_ms"),
    _maybe("revoked_utc_ms"),
)

appliance_key = Table(
    "appliance_key",
    metadata,
    Column("number", Number, primary_key=True),
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), nullable=False),
    _whole("epoch"),
    Column("key_id", Text, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    _whole("added_utc_ms"),
    _maybe("revoked_utc_ms"),
    UniqueConstraint("appliance_id", "epoch"),
)

enrolment_token = Table(
    "enrolment_token",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    _whole("made_utc_ms"),
    _whole("expires_utc_ms"),
    _maybe("used_utc_ms"),
    Column("used_by", Text),
)

chain = Table(
    "chain",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    _whole("sequence"),
    _text("sha256"),
)

batch = Table(
    "batch",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    _text("sha256"),
    _text("previous"),
    _whole("received_utc_ms"),
    _whole("stored_utc_ms"),
    _whole("sealed_utc_ms"),
    Column("simulated", Boolean, nullable=False),
    _whole("assignments"),
    _whole("payload_bytes"),
    _whole("readings"),
    _whole("receptions"),
    _whole("events"),
    _whole("told_again"),
    UniqueConstraint("appliance_id", "sha256"),
)

waiting_batch = Table(
    "waiting_batch",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    _text("sha256"),
    _text("previous"),
    _whole("received_utc_ms"),
    Column("line", LargeBinary, nullable=False),
    _whole("line_bytes"),
)

given_up = Table(
    "given_up",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("first_sequence", BigInteger, primary_key=True),
    _whole("last_sequence"),
    _whole("given_up_utc_ms"),
)

boot = Table(
    "boot",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), nullable=False),
    _whole("boot_id"),
    _whole("number"),
    _text("kernel_id"),
    # The highest millisecond of it that was told, by table: what lies above cannot have been told before.
    _whole("reading_ms"),
    _whole("reception_ms"),
    _whole("event_ms"),
    # Within which `at` all of its rows lie.
    _whole("first_at"),
    _whole("last_at"),
    # The lowest that told of it: a number that was used twice means to each line of keys its own boot.
    _whole("epoch"),
    _text("clock"),
    PrimaryKeyConstraint("appliance_id", "boot_id"),
    UniqueConstraint("appliance_id", "number", "kernel_id"),
)

# The list as it was signed stands beside its version: all workers hand out the same bytes.
assignment_list = Table(
    "assignment_list",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    _whole("version"),
    _whole("made_utc_ms"),
    Column("line", LargeBinary, nullable=False),
)

# A protocol of "" is whichever the meter speaks; the multiplier is a decimal number, exactly as it is meant.
assignment = Table(
    "assignment",
    metadata,
    Column("appliance_id", BigInteger, ForeignKey(appliance.c.appliance_id), primary_key=True),
    Column("endpoint_id", BigInteger, primary_key=True),
    Column("protocol", Text, primary_key=True),
    _text("name"),
    _text("address"),
    _text("multiplier"),
)

meter = Table(
    "meter",
    metadata,
    Column("meter_id", Number, primary_key=True),
    _whole("endpoint_id"),
    _text("protocol"),
    Column("simulated", Boolean, nullable=False),
    _whole("endpoint_type"),
    _text("commodity"),
    UniqueConstraint("endpoint_id", "protocol", "simulated"),
)


def _large(name: str, *columns: Column[int] | Column[int | None] | Column[str], told_by: tuple[str, ...] = ()) -> Table:
    """A table of rows that an appliance told, in the order in which a meter's rows are asked for.

    `told_by` is what tells two rows apart beside their meter and their place in the boot; where there is such a thing,
    a row may be of `NO_METER`.
    """
    known = [] if told_by else [ForeignKeyConstraint(["meter_id"], [meter.c.meter_id])]
    return Table(
        name,
        metadata,
        _whole("meter_id"),
        _whole("at"),
        _maybe("uncertainty_ms"),
        _text("source"),
        _whole("appliance_id"),
        _whole("boot_id"),
        _whole("ms"),
        *columns,
        PrimaryKeyConstraint("meter_id", "at", "appliance_id", "boot_id", "ms", *told_by),
        *known,
        Index(f"{name}_told", "appliance_id", "boot_id", "ms"),
        postgresql_partition_by="RANGE (at)",
        sqlite_with_rowid=False,
    )


reading = _large(
    "reading",
    _whole("consumption"),
    Column("tamper_phy", Integer),
    Column("tamper_enc", Integer),
    Column("flags", SmallInteger, nullable=False),
)

reception = _large(
    "reception",
    _whole("last_ms"),
    _whole("count"),
    _whole("corrected"),
    _whole("levels"),
    _whole("snr_sum_cdb"),
    _maybe("snr_best_cdb"),
    _maybe("frequency_min_hz"),
    _maybe("frequency_max_hz"),
)

event = _large("event", _whole("number"), _text("kind"), _text("detail"), told_by=("number",))

refusal_count = Table(
    "refusal_count",
    metadata,
    Column("appliance_id", BigInteger, primary_key=True),
    Column("reason", Text, primary_key=True),
    _whole("count"),
    _whole("first_utc_ms"),
    _whole("last_utc_ms"),
)

refusal = Table(
    "refusal",
    metadata,
    Column("number", Number, primary_key=True),
    _whole("appliance_id"),
    _whole("received_utc_ms"),
    _text("reason"),
    _text("words"),
    _whole("line_bytes"),
    Column("evidence", LargeBinary, nullable=False),
    Index("refusal_of", "appliance_id", "number"),
)

operator = Table(
    "operator",
    metadata,
    Column("operator_id", Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("password"),
    _whole("made_utc_ms"),
    _whole("changed_utc_ms"),
    _maybe("disabled_utc_ms"),
)

operator_session = Table(
    "operator_session",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("operator_id", BigInteger, ForeignKey(operator.c.operator_id), nullable=False),
    _whole("made_utc_ms"),
    _whole("used_utc_ms"),
)

# `who` and `about` are names as they were then, of operators, appliances, or parts of the program.
audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True),
    _whole("at_utc_ms"),
    _text("who"),
    _text("what"),
    _text("about"),
    _text("detail"),
    Index("audit_of", "about", "number"),
)
