"""The page in place of all others when the configuration is so wrong that nothing is received or kept."""

from dataclasses import dataclass

from aiohttp import web

from appliance.config import DATA
from appliance.web.language import COOKIE, LANGUAGES, language_of
from appliance.web.parts import PARTS
from appliance.web.rendering import html, render
from appliance.web.views.live import ONE_YEAR_S


@dataclass(frozen=True, slots=True)
class WrongPage:
    """For wrong.html. `file_wide`: the file as a whole cannot be read, so that each entry in it is unknown.

    `data`: it is the data directory that cannot be used.
    """

    site_name: str
    file: str
    file_wide: bool
    data: bool
    wrong: tuple[str, ...]


async def view(request: web.Request) -> web.Response:
    """What is wrong, and what to do."""
    parts = request.app[PARTS]
    page = WrongPage(
        site_name=parts.site_name,
        file=parts.config_file,
        file_wide=any(one.part == "file" for one in parts.wrong),
        data=any(one.part == DATA for one in parts.wrong),
        wrong=tuple(map(str, parts.wrong)),
    )
    response = html(render(language_of(request), "wrong.html", page), 503)
    if (language := request.query.get("lang")) in LANGUAGES:
        response.set_cookie(COOKIE, str(language), max_age=ONE_YEAR_S, httponly=True, samesite="Lax")
    return response
