"""A machine whose clocks a test turns: it can lose power, and be started without knowing what time it is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from appliance.clock import Clock, KernelTime
from appliance.model import Message

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HELD = KernelTime(synchronized=True, uncertainty_ms=250)
FREE = KernelTime(synchronized=False)


@dataclass
class Machine:
    """Milliseconds since its start, true UTC, how far its system clock is off, and what the kernel thinks of it."""

    ms: int = 3_600_000
    utc_ms: int = round(START.timestamp() * 1000)
    system_off_ms: int = 0
    kernel: KernelTime = HELD
    boots: int = 1

    def clock(self) -> Clock:
        """As the program that starts now has it."""
        return Clock(
            boottime_ms=lambda: self.ms,
            realtime_ms=lambda: self.utc_ms + self.system_off_ms,
            boot_id=f"boot {self.boots}",
            kernel=lambda: self.kernel,
        )

    def set_clock(self) -> None:
        """A time service sets the system clock, and the kernel says so."""
        self.system_off_ms, self.kernel = 0, HELD

    def pass_time(self, seconds: float) -> None:
        """Time goes on."""
        self.ms += round(seconds * 1000)
        self.utc_ms += round(seconds * 1000)

    def cut_power(self, seconds: float = 60.0) -> None:
        """It is off for so long and starts again."""
        self.utc_ms += round(seconds * 1000)
        self.ms = 5_000
        self.boots += 1

    def message(self, **fields: Any) -> Message:
        """A message that is on the air now, as the receiver times it by the system clock."""
        given: dict[str, Any] = {
            "time": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.utc_ms + self.system_off_ms),
            "protocol": "scm", "meter_id": 60243827, "endpoint_type": 4, "commodity": "electric", "tamper_phy": 0,
            "tamper_enc": 3, "consumption": 31160, "checksum": 40837, "frequency_hz": 912_000_000, "snr_db": 20.0,
            "corrected_bits": 0, "sample": 0,
        }  # fmt: skip
        return Message(**given | fields)
