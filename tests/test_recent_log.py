"""The log's last lines: bounded, and one message is one line whoever is quoted in it."""

import logging

from appliance.recent_log import LONGEST_LINE, MOST_LINES, RecentLog


def test_a_forged_line_is_part_of_the_one_that_quotes_it() -> None:
    log = logging.getLogger("test.recent")
    with RecentLog().listening() as recent:
        log.warning("page=%s broke", "/x\n2026-01-01 ERROR appliance.store: all is lost\x1b[2J")
    (line,) = recent.lines()
    assert line.endswith("page=/x?2026-01-01 ERROR appliance.store: all is lost?[2J broke")


def test_a_traceback_keeps_its_lines() -> None:
    log = logging.getLogger("test.recent")
    with RecentLog().listening() as recent:
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("it broke")
    assert recent.lines()[0].endswith("it broke")
    assert recent.lines()[-1] == "ValueError: odd"


def test_it_keeps_no_more_than_it_may() -> None:
    log = logging.getLogger("test.recent")
    with RecentLog().listening() as recent:
        for n in range(MOST_LINES + 10):
            log.warning("%d %s", n, "x" * 2 * LONGEST_LINE)
    lines = recent.lines()
    assert len(lines) == MOST_LINES
    assert max(map(len, lines)) == LONGEST_LINE
