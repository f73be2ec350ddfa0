"""A stand-in for nmcli, as far as its documented terse output and exit codes go; no machine of ours has a Wi-Fi radio.

What it is asked, and what is typed to it, it appends to `asked`, a JSON line each.
"""

import sys
from pathlib import Path

HEARD = r"""*:Casa \: Luna:71:WPA2
:Casa \: Luna:43:WPA2
:Café del Puerto:88:WPA1 WPA2
:Plaza libre:35:
:Oficina:52:WPA2 802.1X
::20:WPA2
:-dash:90:WPA2
"""
PROGRAM = """#!{python}
import json, sys, time
from pathlib import Path
words = sys.argv[1:]
typed = sys.stdin.readline() if "--ask" in words else ""
with open({asked!r}, "a") as asked:
    asked.write(json.dumps([words, typed]) + "\\n")
manner = Path({manner!r}).read_text()
if manner == "not running":
    sys.stderr.write("Error: NetworkManager is not running.\\n")
    sys.exit(8)
if manner == "hangs":
    time.sleep(600)
if "status" in words:
    print("ethernet\\nloopback" if manner == "no device" else "wifi\\nethernet\\nloopback")
elif words == ["radio", "wifi"]:
    print("disabled" if manner == "off" else "enabled")
elif "list" in words:
    print({heard!r}, end="")
elif "connect" in words:
    time.sleep({slow_s})
    name = words[words.index("connect") + 1]
    if manner == "rights":
        sys.stderr.write("Error: Failed to add/activate new connection: Not authorized to control networking.\\n")
        sys.exit(4)
    if name not in {heard!r}.replace("\\\\", "") and "hidden" not in words:
        sys.stderr.write("Error: No network with SSID '" + name + "' found.\\n")
        sys.exit(10)
    if manner == "late":
        sys.stderr.write("Error: Timeout expired (60 seconds)\\n")
        sys.exit(3)
    if manner == "odd":
        sys.stderr.write("Error: Connection activation failed: (5) IP configuration could not be reserved.\\n")
        sys.exit(4)
    if typed and typed != "the right one\\n":
        sys.stderr.write("Error: Connection activation failed: (7) Secrets were required, but not provided.\\n")
        sys.exit(4)
    print("Device 'wlan0' successfully activated with '...'.")
else:
    sys.exit(2)
"""


def put(folder: Path, manner: str = "", slow_s: float = 0.0) -> Path:
    """Put it into a folder; returns the folder, for PATH. `manner` says what goes wrong."""
    program = folder / "nmcli"
    (folder / "manner").write_text(manner)
    asked = str(folder / "asked")
    told = PROGRAM.format(python=sys.executable, asked=asked, manner=str(folder / "manner"), heard=HEARD, slow_s=slow_s)
    program.write_text(told)
    program.chmod(0o755)
    return folder
