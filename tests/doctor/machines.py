"""Made trees of /sys, /proc, /dev and /etc: a Raspberry Pi that is well, to which a test does something."""

from dataclasses import dataclass, field
from pathlib import Path

from appliance.doctor.finding import Finding
from appliance.kernel_clock import KernelTime
from appliance.machine import Machine

ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@dataclass
class Pi:
    """A Raspberry Pi in a folder."""

    root: Path
    time: KernelTime = field(default_factory=lambda: KernelTime(synchronized=True, uncertainty_ms=300))
    locked: set[Path] = field(default_factory=set)
    ipv4: list[tuple[str, str]] = field(default_factory=lambda: [("lo", "127.0.0.1"), ("eth0", "192.168.1.20")])

    def __post_init__(self) -> None:
        self.write("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0")
        self.write("proc/modules", "snd_bcm2835 24576 0 - Live 0x0\n")
        self.write("proc/net/route", ROUTE)
        self.write("proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n")
        self.write("etc/resolv.conf", "nameserver 192.168.1.1\n")
        self.write("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.write("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
        self.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
        self.write("sys/class/rtc/rtc0/hctosys", "1\n")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def dongle(self, driver: str = "", serial: str = "00000001", port: str = "1-1.2") -> Path:
        """Plug one in; returns its device file."""
        device = f"sys/bus/usb/devices/{port}"
        about = {"idVendor": "0bda", "idProduct": "2838", "product": "RTL2838UHIDIR", "serial": serial}
        for name, value in (about | {"busnum": "1", "devnum": "4"}).items():
            self.write(f"{device}/{name}", value + "\n")
        if driver:
            self.write(f"sys/bus/usb/drivers/{driver}/bind", "")
            interface = self.root / device / f"{port}:1.0"
            interface.mkdir()
            (interface / "driver").symlink_to(self.root / "sys/bus/usb/drivers" / driver)
        self.write("dev/bus/usb/001/004", "")
        return self.root / "dev/bus/usb/001/004"

    @property
    def machine(self) -> Machine:
        return Machine(
            sys=self.root / "sys",
            proc=self.root / "proc",
            dev=self.root / "dev",
            etc=self.root / "etc",
            run=self.root / "run",
            accessible=lambda path: path.exists() and path not in self.locked,
            kernel_time=lambda: self.time,
            ipv4_addresses=lambda: self.ipv4,
        )


def told(findings: object) -> list[tuple[str, str, str]]:
    """Name, verdict and words of each; what is wrong must say what to do, and nothing else may."""
    assert hasattr(findings, "__iter__")
    rows = []
    for one in findings:
        assert isinstance(one, Finding)
        assert bool(one.advice) == (one.verdict in ("look", "bad")), one
        rows.append((one.name, one.verdict, one.found))
    return rows
