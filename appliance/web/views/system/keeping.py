"""`/system/keeping`: all that is kept, carried off as an encrypted file and brought back, and a bundle for support.

The page, and in words what became of what was asked of it (`backup.py`, `restore.py`, `support.py`).
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from appliance.archive.passphrase import LEAST_CHARACTERS
from appliance.store.accounts import TECHNICIAN
from appliance.store.backup.bring import room_for
from appliance.store.backup.write import estimate
from appliance.store.retention import replaced
from appliance.support.contents import CONTENTS, NOT_IN_IT
from appliance.web.frame.addresses import is_encrypted, is_here
from appliance.web.frame.guard import only
from appliance.web.frame.login import encrypted_log_in
from appliance.web.frame.proof import Denied
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS

PATH = "/system/keeping"
AGAIN = "Try again in a minute."
UNCHANGED = "Nothing was changed."
# What may be wrong: in words, and what to do.
TROUBLES = {
    "short": (
        "The passphrase is too short.",
        "It needs at least 12 characters: take four or five words that do not belong together.",
    ),
    "differ": ("The two passphrases differ.", "Type the same twice."),
    "busy": ("A backup is being downloaded already.", "Wait until that one has ended, then try again."),
    "bundling": ("A bundle is being put together already.", AGAIN),
    "no room": (
        "There is no room for the copies that are needed while a backup is made.",
        "Some ten megabytes must be free where the system keeps temporary files.",
    ),
    "not now": ("The card does not allow it now.", AGAIN),
    "no file": ("No file was chosen.", "Choose a backup of an appliance; its name ends in .backup."),
    "no passphrase": ("The passphrase is missing.", "Type the one that the backup was made with."),
    "not confirmed": (UNCHANGED, "Tick that what is here may be set aside, and choose the file again."),
    "other appliance": (
        "It is the backup of another appliance.",
        "If this one is to take its place, tick that, and choose the file again.",
    ),
    "passphrase": ("The passphrase is wrong.", "Type it as it was typed then: capitals and spaces count."),
    "no backup": ("This file is not the backup of an appliance.", "Choose another one; its name ends in .backup."),
    "cut off": ("The file is cut off: its end is missing.", "It was not copied completely: copy it again."),
    "altered": ("The file was damaged or altered.", "Use another copy: not a bit of this one is believed."),
    "unsound": ("What is in it is damaged.", "Use another backup."),
    "later version": (
        "A later version of the program made it.",
        "Bring this appliance to that version first.",
    ),
    "large": ("The card has no room for it beside what is here.", "Make room on the card, or use a larger one."),
    "waits": ("Another restore or an import is under way.", "Wait until it has ended, then try again."),
    "stalled": (
        "The file did not come to its end.",
        "Stay near the appliance, keep this page open, and try again.",
    ),
    "not read": ("What was sent cannot be read.", "Use the form of this page."),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, a key of `TROUBLES`, with which `part` of the page; what was `told` of it in English.

    `denied`, in place of a key: the person's own password did not count. `ticked` stays so.
    """

    part: str
    why: str = ""
    told: str = ""
    denied: Denied | None = None
    ticked: frozenset[str] = frozenset()

    @property
    def words(self) -> str:
        """What is wrong."""
        return TROUBLES[self.why][0]

    @property
    def advice(self) -> str:
        """What to do."""
        return TROUBLES[self.why][1]


@dataclass(frozen=True, slots=True)
class Keeping:
    """For keeping.html. A backup has about `size` bytes, one that is brought may have `room`; None: not known.

    `set_aside` names the folders with what was here before earlier restores. `is_open`: who listens in hears the
    passphrase; `encrypted` is then the address of the same page by HTTPS, "" if there is none.
    """

    size: int | None
    room: int | None
    set_aside: list[str]
    least_characters: int
    contents: tuple[tuple[str, str], ...]
    left_out: str
    is_open: bool
    encrypted: str
    trouble: Trouble | None

    def of(self, part: str) -> Trouble | None:
        """What is wrong with that part."""
        return self.trouble if self.trouble and self.trouble.part == part else None

    def denied(self, part: str) -> Denied | None:
        """How the own password was denied there."""
        trouble = self.of(part)
        return trouble.denied if trouble else None


@only(TECHNICIAN)
async def view(request: web.Request) -> web.Response:
    """The page."""
    return await page(request)


async def page(request: web.Request, trouble: Trouble | None = None, status: int = 422) -> web.Response:
    """The page, with what is wrong, if anything is."""
    size, room, set_aside = await asyncio.to_thread(_measured, request.app[PARTS].store.directory)
    is_open = not is_encrypted(request) and not is_here(request.remote or "")
    keeping = Keeping(
        size=size,
        room=room,
        set_aside=set_aside,
        least_characters=LEAST_CHARACTERS,
        contents=CONTENTS,
        left_out=NOT_IN_IT,
        is_open=is_open,
        encrypted=encrypted_log_in(request, PATH) if is_open else "",
        trouble=trouble,
    )
    return html(request, "keeping.html", keeping, status if trouble else 200)


def _measured(directory: Path) -> tuple[int | None, int | None, list[str]]:
    try:
        return estimate(directory), room_for(directory), [path.name for path in replaced(directory)]
    except OSError:
        return None, None, []
