"""The two ends: an aggregator, and an appliance that has something to tell."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.store.writer import Store
from appliance.sync.sealing import Sealing
from tests.store.box import Box
from tests.sync.centre import Centre, centre


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Centre]:
    """An aggregator that approves whoever enrols."""
    async with centre(tmp_path / "aggregator") as serving:
        yield serving


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[tuple[Box, Store, Sealing]]:
    """An appliance with three batches."""
    box = Box(tmp_path / "data")
    async with box.store() as store:
        sealing = Sealing(store)
        for _ in range(3):
            box.hear(store, 15)
            assert await sealing.seal_now() == ""
        yield box, store, sealing
        sealing.close()
