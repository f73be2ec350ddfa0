"""A Raspberry Pi that is well."""

from pathlib import Path

import pytest

from tests.doctor.machines import Pi


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "pi")
