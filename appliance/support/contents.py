"""What is in a bundle: the files by name, and what each tells, as the page and the bundle itself say it."""

import textwrap

CONTENTS = (
    ("versions.json", "Versions of the program, the machine and its system, and of the databases"),
    ("health.json", "How each part is"),
    ("doctor.txt", "What the command appliance doctor finds"),
    ("settings.json", "The settings; of those that are secret only whether they are set"),
    ("events.json", "What happened in the last 30 days, without meters, readings and persons"),
    ("log.txt", "The last lines of the program's log"),
    ("kernel.txt", "The last lines of the kernel's log"),
    ("storage.json", "Room and wear of the card, and what waits to be delivered"),
    ("radio.json", "What each receiver says of itself: counts, levels, what was refused"),
    ("files.txt", "Names and sizes of the files in the data directory"),
)
NOT_IN_IT = (
    "Not in it are passwords, keys, tokens and codes, who may log in, names and addresses of meters and customers, "
    "notes and readings."
)

README = "README.txt"


def readme(made: str) -> str:
    """The text that tells what is in it; `made` is when."""
    width = max(len(name) for name, _ in CONTENTS)
    lines = [f"{name:<{width}}  {words}" for name, words in CONTENTS]
    head = f"Made by a meter appliance for its support, {made}.\nTimes are UTC, sizes are bytes.\n"
    return "\n".join([head, *lines, "", textwrap.fill(NOT_IN_IT, 100), ""])
