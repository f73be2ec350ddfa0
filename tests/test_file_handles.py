"""The allowance of file handles is raised, and never lowered."""

import resource
from collections.abc import Iterator

import pytest

from appliance.file_handles import WANTED, allow_file_handles


@pytest.fixture
def hard() -> Iterator[int]:
    """What this user may have; what the test had comes back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def allowance() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_small_allowance_is_raised(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    allow_file_handles()
    assert allowance() == (WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard))


def test_a_larger_one_stays(hard: int) -> None:
    if hard != resource.RLIM_INFINITY and hard <= WANTED:
        pytest.skip("this user may not have more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED + 1, hard))
    allow_file_handles()
    assert allowance() == WANTED + 1
