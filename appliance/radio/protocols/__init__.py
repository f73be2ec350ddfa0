"""The table of air protocols: one pure file each, found by the name that a message line carries."""

from types import ModuleType

from appliance.radio.protocols import scm

PROTOCOLS: dict[str, ModuleType] = {scm.NAME: scm}
