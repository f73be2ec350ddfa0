"""Asks the site as a browser does, and reads its table."""

from html.parser import HTMLParser

import aiohttp

from tests.web.conftest import Site


async def get(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[aiohttp.ClientResponse, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, site.url + path, headers=headers, allow_redirects=False) as answer,
    ):
        return answer, await answer.text()


async def as_technician(site: Site, path: str, **headers: str) -> str:
    """The page as who has logged in sees it, its lines as one."""
    answer, page = await get(site, path, Cookie=f"session={site.logs_in()['session']}", **headers)
    assert answer.status == 200
    return " ".join(page.split())


class Cells(HTMLParser):
    """The text of each cell of each row of the table's body, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data
