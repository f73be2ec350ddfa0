"""One heap for all threads, so that a process that runs for months does not grow.

glibc gives each thread that allocates while another does a heap of its own, and of what is freed in one of them
nothing is used for the others. The store seals, joins and answers in threads: measured over 30 days of 300 meters
(`benchmarks/month.py`) the process grew from 64 to 85 MB with the heaps of glibc's choice, and not at all with one.
"""

import ctypes

_M_ARENA_MAX = -8


def share_one_heap() -> None:
    """Ask glibc to let all threads share one heap; where there is no glibc, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
