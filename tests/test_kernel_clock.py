"""What is read of the kernel: a made-up answer of adjtimex, the real one, and files as sysfs has them."""

import ctypes
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.kernel_clock import (
    LEAST_UNCERTAINTY_MS,
    KernelTime,
    Timex,
    boot_id,
    boottime_ms,
    kernel_time,
    realtime_ms,
    rtc_utc_ms,
)

STA_PLL, STA_UNSYNC, STA_NANO = 0x0001, 0x0040, 0x2000


def kernel(answer: int, **values: int) -> Callable[[Timex], int]:
    def adjtimex(state: Timex) -> int:
        for name, value in values.items():
            setattr(state, name, value)
        return answer

    return adjtimex


def rtc(directory: Path, name: str, hctosys: str, since_epoch: str | None) -> None:
    (directory / name).mkdir(parents=True)
    (directory / name / "hctosys").write_text(f"{hctosys}\n")
    if since_epoch is not None:
        (directory / name / "since_epoch").write_text(f"{since_epoch}\n")


@pytest.mark.parametrize(
    ("values", "uncertainty_ms"),
    [
        ({"maxerror": 0, "esterror": 0}, LEAST_UNCERTAINTY_MS),
        ({"maxerror": 750_100, "esterror": 4000}, 751),
        ({"maxerror": 600_000, "offset": -200_000}, 800),
        ({"maxerror": 600_000, "offset": -200_000_000, "status": STA_PLL | STA_NANO}, 800),
    ],
)
def test_a_synchronized_kernel_tells_its_uncertainty(
    values: dict[str, int], uncertainty_ms: int, tmp_path: Path
) -> None:
    rtc(tmp_path, "rtc0", "1", "1780000000")
    assert kernel_time(kernel(0, **values), tmp_path) == KernelTime(synchronized=True, uncertainty_ms=uncertainty_ms)


@pytest.mark.parametrize(("answer", "status"), [(5, STA_UNSYNC), (5, 0), (0, STA_UNSYNC), (-1, 0)])
def test_otherwise_the_real_time_clock_is_asked(answer: int, status: int, tmp_path: Path) -> None:
    rtc(tmp_path, "rtc0", "1", "1780000000")
    told = kernel_time(kernel(answer, status=status), tmp_path)
    assert told == KernelTime(synchronized=False, rtc_utc_ms=1_780_000_000_500)


def test_the_kernel_fills_the_structure_as_it_is_laid_out() -> None:
    state = Timex()
    answer = int(ctypes.CDLL(None).adjtimex(ctypes.byref(state)))
    if answer < 0:
        pytest.skip("adjtimex is not allowed here")
    assert ctypes.sizeof(Timex) == {8: 208, 4: 128}[ctypes.sizeof(ctypes.c_long)]
    assert abs(state.time_sec - time.time()) < 60
    assert 9000 <= state.tick <= 11_000, "microseconds between two ticks, of which there are a hundred a second"
    assert kernel_time().synchronized == (answer != 5 and not state.status & STA_UNSYNC)


def test_the_clock_from_which_the_kernel_was_set_is_the_one_that_counts(tmp_path: Path) -> None:
    assert rtc_utc_ms(tmp_path) is None
    assert rtc_utc_ms(tmp_path / "no such folder") is None
    rtc(tmp_path, "rtc0", "0", "1700000000")
    assert rtc_utc_ms(tmp_path) is None
    rtc(tmp_path, "rtc1", "1", "1780000000")
    assert rtc_utc_ms(tmp_path) == 1_780_000_000_500


@pytest.mark.parametrize("since_epoch", [None, "", "worthless"])
def test_a_clock_that_cannot_be_read_is_none(since_epoch: str | None, tmp_path: Path) -> None:
    rtc(tmp_path, "rtc0", "1", since_epoch)
    assert rtc_utc_ms(tmp_path) is None


def test_the_boot_has_a_name(tmp_path: Path) -> None:
    if name := boot_id():
        assert str(uuid.UUID(name)) == name
    assert boot_id(tmp_path / "missing") is None
    (tmp_path / "empty").write_bytes(b"\n")
    assert boot_id(tmp_path / "empty") is None
    (tmp_path / "garbage").write_bytes(b"\xff\xfe")
    assert boot_id(tmp_path / "garbage") is None


def test_the_clocks_go_forward() -> None:
    assert 0 < boottime_ms() <= boottime_ms()
    assert realtime_ms() > 1_700_000_000_000
