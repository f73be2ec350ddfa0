"""Takes out of texts what must not leave the appliance, should it stand there after all.

What is collected is chosen so that it has nothing of the kind; this is for the day on which a fault quotes what it
was about.
"""

import re
from collections.abc import Iterable
from typing import Any

REMOVED = "(removed)"
# Shorter ones stand in many a word.
LEAST_CHARACTERS = 3
_WORD = re.compile(r"\w+")


class Redaction:
    """Of `texts`: `secrets` wherever they stand, and `words` of people where they stand by themselves."""

    def __init__(self, secrets: Iterable[str], words: Iterable[str], texts: Iterable[str]) -> None:
        whole = "\n".join(texts)
        there = set(_WORD.findall(whole))
        found = [re.escape(secret) for secret in secrets if len(secret) >= LEAST_CHARACTERS and secret in whole]
        # Thousands of meters have names: most are out of the question at a glance.
        found += [
            rf"(?<!\w){re.escape(word)}(?!\w)"
            for word in words
            if len(word) >= LEAST_CHARACTERS and there.issuperset(_WORD.findall(word)) and word in whole
        ]
        self._pattern = re.compile("|".join(sorted(found, key=len, reverse=True))) if found else None

    def of(self, value: Any) -> Any:
        """A text, or what JSON can write, without them; names of fields stay."""
        if isinstance(value, str):
            return self._pattern.sub(REMOVED, value) if self._pattern else value
        if isinstance(value, dict):
            return {name: self.of(one) for name, one in value.items()}
        return [self.of(one) for one in value] if isinstance(value, list | tuple) else value
