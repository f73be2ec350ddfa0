"""The words about a wrong configuration in a real browser: they fit a phone and can be read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config import read
from appliance.web.site import serving
from tests.web.conftest import Site
from tests.web.everybody import CONTRAST
from tests.web.test_browser import browser, opened, pytestmark

__all__ = ["browser", "pytestmark"]

TEXT = f"[store]\ndirectory = 7\n{'x' * 80} = 1\n[web]\nhost = '{'a b' * 60}'\n[[receiver]]\ngian_db = 3\n"


@pytest.mark.parametrize("halted", [True, False], ids=["halted", "partly"])
@pytest.mark.parametrize(
    ("width", "lang", "scheme"), [(320, "es", "dark"), (390, "en", "light"), (1280, "es", "light")]
)
async def test_it_fits_and_can_be_read(
    browser: Any, site: Site, tmp_path: Path, halted: bool, width: int, lang: str, scheme: str
) -> None:
    (tmp_path / "appliance.toml").write_text(TEXT)
    file = "/etc/" + "meter-appliance/" * 12 + "appliance.toml"
    parts = replace(site.parts(), wrong=read(tmp_path / "appliance.toml").wrong, halted=halted, config_file=file)
    async with serving(parts, "127.0.0.1", 0) as port:
        site.url = f"http://127.0.0.1:{port}"
        size = {"width": width, "height": 740}
        tab = await opened(browser, site, f"/?lang={lang}", viewport=size, color_scheme=scheme)
        assert await tab.page.locator("li" if halted else ".deed .told[lang]").count() == 4
        assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert await tab.page.evaluate(CONTRAST) == []
        assert tab.strangers == []
        await tab.page.context.close()
