"""What a check finds."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "look", "bad", "n/a"]
"""bad: it does not work, or will not for long; look: it works, but worth a look; n/a: there is no such thing here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and for "look" and "bad" what to do."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""
