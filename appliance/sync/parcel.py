"""What waits in the outbox, as one file to be carried off: a tar archive with the folders of a stick (`stick.py`).

It is made while it is sent, a batch at a time, so that it takes no room here. The aggregator takes it in as it is, or
unpacked onto a stick. The outbox is only read: all of it waits on until its receipts have come.
"""

import io
from collections.abc import AsyncGenerator

from appliance.archive import tar
from appliance.sync.courier import About
from appliance.sync.identity import epoch_of
from appliance.sync.sealing import Sealing
from appliance.sync.stick import FOLDER, shelf_of

MODE = 0o644


async def parcel(sealing: Sealing, about: About) -> AsyncGenerator[bytes, None]:
    """The pieces of the archive, of the size of a batch at most. Raises StoreError, OSError."""
    identity, names = await sealing.of(lambda outbox: (outbox.identity, list(outbox.waiting)))
    folder = f"{FOLDER}/{identity.appliance}"
    # Without its token, which is for nobody on the way to read.
    yield _member(f"{folder}/introduction.enrolment", identity.introduction(about.name, about.version))
    for rotation in identity.rotations:
        yield _member(f"{folder}/{epoch_of(rotation):06}.rotation", rotation)
    for name in names:
        # One that is found damaged, or was delivered meanwhile, is left out.
        if line := await sealing.of(lambda outbox, name=name: outbox.sound_line(name)):  # type: ignore[misc]
            yield _member(f"{folder}/{shelf_of(name)}/{name.file}", line)
    await sealing.of(lambda outbox: outbox.note_sent(names))
    end = io.BytesIO()
    tar.end(end)
    yield end.getvalue()


def _member(name: str, content: bytes) -> bytes:
    into = io.BytesIO()
    tar.add(into, name, len(content), MODE, io.BytesIO(content))
    return into.getvalue()
