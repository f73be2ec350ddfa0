"""What holds for all tests."""

import os

from hypothesis import settings

# A test never asserts a time, so Hypothesis must not either; in CI the same examples come every time.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ, database=None)
settings.load_profile("house")
