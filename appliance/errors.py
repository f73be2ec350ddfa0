"""The error tree: one class for each thing a caller can do about a fault.

    ApplianceError                 everything this program raises on purpose
    ├── ConfigError                a setting is wrong: a person must edit it            (exit 78)
    ├── UsageError                 the command line asks for something impossible       (exit 64)
    ├── InputError                 a file or stream given to a command is not usable    (exit 65)
    ├── SourceError                the samples do not come                              (exit 69)
    │   ├── SourceUnavailable      not there now (no dongle, nobody listening): retry
    │   ├── SourceLost             was there and went away, stalled or sent garbage: retry
    │   └── SourceHung             the driver does not return: only a new process helps (exit 75)
    ├── StoreError                 the readings cannot be kept                          (exit 74)
    │   └── StoreTooNew            written by a later version: that one must read it
    ├── AlreadyRunning             another instance has the same data directory         (exit 73)
    ├── NotRunning                 no instance answers                                  (exit 69)
    └── NotDelivered               the aggregator is away, or does not take it: retry   (exit 69)

The exit codes are those of BSD's sysexits.h where it has one that fits; `docs/commands.md` lists them.
A frame that does not decode is no error: it is a named refusal, counted by the receiver.
"""


class ApplianceError(Exception):
    """A fault with a message that says what happened and a `hint` that says what to do about it."""

    hint = "Run the same command with --verbose and read the last lines."
    exit_code = 70
    retryable = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class ConfigError(ApplianceError):
    hint = "Correct the value in the configuration file and start again."
    exit_code = 78


class UsageError(ApplianceError):
    hint = "Run the command with --help to see what it takes."
    exit_code = 64


class InputError(ApplianceError):
    hint = "Check that the file is the one you meant and that it is complete."
    exit_code = 65


class SourceError(ApplianceError):
    hint = "Check the radio and its cable."
    exit_code = 69


class SourceUnavailable(SourceError):
    hint = "Plug the radio in, or start the program that serves its samples."
    retryable = True


class SourceLost(SourceError):
    hint = "Check the USB cable, its power supply and the network to the radio."
    retryable = True


class SourceHung(SourceError):
    hint = "Unplug the radio and plug it in again."
    exit_code = 75
    retryable = True


class StoreError(ApplianceError):
    hint = "Check that the card is not full, not read-only and not damaged."
    exit_code = 74
    retryable = True


class StoreTooNew(StoreError):
    hint = "Install the version that wrote this data, or give this one a data directory of its own."
    retryable = False


class AlreadyRunning(ApplianceError):
    hint = "Stop the other instance first, or give this one a data directory of its own."
    exit_code = 73


class NotRunning(ApplianceError):
    hint = "Start it with 'appliance run', or 'systemctl start meter-appliance' where it starts with the machine."
    exit_code = 69
    retryable = True


class NotDelivered(ApplianceError):
    """`retry_after_s` is how long the other side asks to be left alone, None if it does not say.

    `cause` says in one of a few sentences what became of the connection, "" where it was not that.
    """

    hint = "Nothing is lost: what waits stays in the outbox, and it is tried again by itself."
    exit_code = 69
    retryable = True

    def __init__(
        self, message: str, hint: str | None = None, retry_after_s: float | None = None, cause: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s
        self.cause = cause
