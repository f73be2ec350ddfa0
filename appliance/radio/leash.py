"""Runs a command that dies with its parent: `python -m appliance.radio.leash PARENT_PID COMMAND [ARGUMENT…]`.

Asks the kernel to kill this process when its parent ends, in whatever way (`PR_SET_PDEATHSIG`, prctl(2), which
survives execve), then becomes the command. It is a program of its own because the alternative, code run
between fork and exec, is unsafe in a program with threads. Exit code 127 when the command cannot be started.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> int:
    """Become the command; returns only when that fails."""
    parent_pid, *command = argv
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent_pid):
        # The parent ended before the request could take effect.
        return 1
    try:
        os.execvp(command[0], command)  # noqa: S606 - the configured command is the purpose
    except OSError as fault:
        sys.stderr.write(f"{command[0]}: cannot be started: {fault.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
