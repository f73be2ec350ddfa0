"""The page in place of all others when the configuration is so wrong that nothing is received or kept."""

from dataclasses import dataclass

from aiohttp import web

from appliance.config import DATA
from appliance.web.frame.guard import everybody
from appliance.web.frame.rendering import html
from appliance.web.parts import PARTS


@dataclass(frozen=True, slots=True)
class WrongPage:
    """For wrong.html. `file_wide`: the file as a whole cannot be read, so that each entry in it is unknown.

    `data`: it is the data directory that cannot be used.
    """

    file: str
    file_wide: bool
    data: bool
    wrong: tuple[str, ...]


@everybody
async def view(request: web.Request) -> web.Response:
    """What is wrong, and what to do."""
    parts = request.app[PARTS]
    page = WrongPage(
        file=parts.config_file,
        file_wide=any(one.part == "file" for one in parts.wrong),
        data=any(one.part == DATA for one in parts.wrong),
        wrong=tuple(map(str, parts.wrong)),
    )
    return html(request, "wrong.html", page, 503)
