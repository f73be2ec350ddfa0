"""The made history of the benchmarks is one that the store's questions answer truly."""

from pathlib import Path

from benchmarks import asking
from benchmarks.made_history import make


def test_made_history_is_true(tmp_path: Path) -> None:
    made = make(tmp_path, days=12, meters=8)
    asking.check(made, seed=1)


def test_made_history_has_rows_that_wait_to_be_sealed(tmp_path: Path) -> None:
    made = make(tmp_path, days=10, meters=180)
    history = made.history()
    with history.view() as view:
        assert view.live.execute("SELECT count(*) FROM reading").fetchone()[0] > 0
    history.close()
    asking.check(made, seed=2)
