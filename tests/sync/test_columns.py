"""Columns come back as they were, and what was not written so is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sync.columns import read, read_runs, read_sparse, write, write_runs, write_sparse

NUMBERS = st.integers(-(2**52), 2**52)
WIDE = (-(2**53), 2**53)


@given(st.lists(NUMBERS))
def test_a_column(column: list[int]) -> None:
    assert read(write(column), len(column), *WIDE) == column


@given(st.lists(NUMBERS | st.none()))
def test_a_column_with_gaps(column: list[int | None]) -> None:
    assert read_sparse(write_sparse(column), len(column), *WIDE) == column


@given(st.lists(st.lists(st.integers(0, 2**52))))
def test_a_column_of_runs(runs: list[list[int]]) -> None:
    column = [value for run in runs for value in run]
    assert read_runs(write_runs(column, [len(run) for run in runs]), [len(run) for run in runs], 0, 2**53) == column


def test_what_is_constant_costs_nothing() -> None:
    assert write([909_586_000] * 5000) == (909_586_000, 0, "")
    assert write_sparse([None] * 5000) == (0, 0, "")


@pytest.mark.parametrize(
    "written",
    [
        None,
        5,
        [],
        [0, 1],
        [0, 1, "AA", 1],
        [0, 1, "A"],
        [0, 1, "AAA"],
        [0, 2, "AA"],
        [0, 1, "A="],
        [0, 1, "Aé"],
        [0, 1, "A+"],
        [0, 1, ["A", "A"]],
        [0, True, "AA"],
        [0, -1, ""],
        [0, 10, "A" * 20],
        [0.0, 1, "AA"],
        [None, 1, "AA"],
        [2**53, 1, "AA"],
        [-1, 1, "AA"],
        [99, 1, "AC"],
    ],
)
def test_what_is_refused(written: object) -> None:
    # Where something else than a ValueError is raised, `unpack` takes it for the same.
    with pytest.raises((ValueError, TypeError)):
        read(written, 2, 0, 100)
    with pytest.raises((ValueError, TypeError)):
        read_runs([[0, 0, ""], written], [3], 0, 100)


def test_too_far_apart() -> None:
    with pytest.raises(ValueError, match="too far"):
        write([0, 2**60])
