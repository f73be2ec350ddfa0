"""The bundle itself: a zip archive, which every phone and computer opens."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from appliance.support.contents import CONTENTS, README, readme
from appliance.support.redaction import Redaction

# Of each file; the texts are bounded where they are collected, this is the last word.
MOST_CHARACTERS = 2_000_000


def bundle(found: Mapping[str, Any], secrets: Iterable[str], words: Iterable[str], made: str) -> bytes:
    """The archive of what was `found` for each name of `CONTENTS`, without `secrets` and without people's `words`."""
    redaction = Redaction(secrets, words, _texts(list(found.values())))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(README, readme(made))
        for name, _ in CONTENTS:
            content = redaction.of(found[name])
            if not isinstance(content, str):
                content = json.dumps(content, indent=1, ensure_ascii=False, default=str)
            archive.writestr(name, content[:MOST_CHARACTERS] + "\n")
    return out.getvalue()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
