"""A life of the store has smaller limits than the appliance; other tests in this process have not."""

from collections.abc import Iterator

import pytest

from appliance.store import upkeep


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    """Puts the limits of upkeep back."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("SEAL_ROWS", "JOIN", "COPY_S", "SCRUB_S"):
            patched.setattr(upkeep, name, getattr(upkeep, name))
        yield
