"""What every page must be: nothing for axe-core to find, text that is seen, nothing wider than the screen.

Nor may texts touch, and all that holds where the browser writes twice as large (WCAG 2.1, 1.4.4), too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.test_browser import Tab

axe: Any = pytest.importorskip("axe_playwright_python.async_playwright")

WIDTHS = (1280, 1024, 768, 390, 320)
TEXT_PX, LARGE_TEXT_PX = 16, 32
LARGE_TEXT_WIDTHS = (1280, 768, 390)
THEMES = ("light", "dark")


async def is_for_everybody(tab: "Tab", widths: Sequence[int] = WIDTHS) -> None:
    """Look at the page in both themes and at each width."""
    for theme in THEMES:
        await tab.page.emulate_media(color_scheme=theme)
        found = await axe.Axe().run(tab.page)
        assert found.response["violations"] == [], found.generate_report()
        assert await tab.page.evaluate(CONTRAST) == []
    for width in widths:
        await _fits(tab, width)
    browser = await tab.page.context.new_cdp_session(tab.page)
    await browser.send("Page.setFontSizes", {"fontSizes": {"standard": LARGE_TEXT_PX}})
    for width in LARGE_TEXT_WIDTHS:
        await _fits(tab, width)
    await browser.send("Page.setFontSizes", {"fontSizes": {"standard": TEXT_PX}})
    await tab.page.set_viewport_size({"width": widths[0], "height": 844})


async def _fits(tab: "Tab", width: int) -> None:
    await tab.page.set_viewport_size({"width": width, "height": 844})
    await tab.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    text_px = await tab.page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    for found in (await tab.page.evaluate(WIDER), await tab.page.evaluate(TOUCHING)):
        assert found == [], f"{tab.page.url} at {width} px, text of {text_px} px: {found}"


WIDER = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  const wider = (element) => element.getBoundingClientRect().right > clientWidth;
  const elements = [...document.body.querySelectorAll("*")].filter(wider);
  return [scrollWidth, ...elements.map((element) => element.outerHTML.slice(0, 120))];
}"""

# Texts of two blocks beside each other with less than two pixels between them; of a line its middle half counts.
TOUCHING = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    const isSeen = element.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true });
    if (!isSeen || !node.nodeValue.trim()) continue;
    if (element.closest(".hidden, .skip, option, textarea, title")) continue;
    let block = element, floats = false;
    while (getComputedStyle(block).display.startsWith("inline")) block = block.parentElement;
    for (let up = element; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      floats ||= ["fixed", "sticky"].includes(style.position) || style.clipPath !== "none";
    }
    if (floats) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = getComputedStyle(block).overflow === "visible" ? { bottom: Infinity } : block.getBoundingClientRect();
    for (const { left, right, top, bottom } of range.getClientRects()) {
      if (top >= box.bottom) continue;
      const quarter = (bottom - top) / 4;
      const words = node.nodeValue.trim().slice(0, 30);
      if (right - left > 1) texts.push({ block, words, left, right, top: top + quarter, bottom: bottom - quarter });
    }
  }
  const touching = [];
  for (const [n, a] of texts.entries())
    for (const b of texts.slice(n + 1))
      if (a.block !== b.block && a.left < b.right + 2 && b.left < a.right + 2 && a.top < b.bottom && b.top < a.bottom)
        touching.push(`${a.words} | ${b.words}`);
  return touching;
}"""

# WCAG 2.1 AA, 4.5 to 1, for each text; what is painted on a canvas tells any colour in numbers.
CONTRAST = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = rgba(getComputedStyle(element).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""
