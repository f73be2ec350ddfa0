"""Why a file cannot be opened as a backup, by a name: pages say it in the reader's language."""

from typing import Literal

from appliance.errors import InputError

Why = Literal["no backup", "later version", "cut off", "altered", "passphrase"]


class Unusable(InputError):
    """A file that is no whole backup of a known version, or has another passphrase."""

    def __init__(self, why: Why, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.why = why
