"""The command line: arguments to commands. Each command imports what it needs, and only when it runs.

`docs/commands.md` describes the commands, their output and the exit codes.
"""

import argparse
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from appliance import __version__
from appliance.errors import ApplianceError, SourceHung, StoreError, UsageError
from appliance.recent_log import OneLine

if TYPE_CHECKING:
    from appliance.radio.sources import SourceSettings
    from appliance.radio.stop import StopRequest

FORMATS = ("json", "csv", "plain", "rtlamr")
SAMPLE_FORMATS = ("cu8", "cs8", "cs16", "cf32")
# Commands on what is kept: the module with their `add_arguments` and `run`, and what they do.
DATA_COMMANDS = {
    "backup": ("appliance.store.backup.backup_command", "write all that is kept into one encrypted file"),
    "restore": ("appliance.store.backup.restore_command", "put a backup in the place of what is kept"),
    "export": ("appliance.store.transfer.export_command", "print the readings that are kept"),
    "import": ("appliance.store.transfer.import_command", "take over the readings that rtlamr has logged"),
    "account": ("appliance.account_command", "say who may log in at the appliance's page"),
    "outbox": ("appliance.sync.outbox_command", "list what waits to be delivered, or put it on a USB stick"),
    "receipts": ("appliance.sync.receipts_command", "take in what an aggregator has put on a USB stick"),
    "aggregator": (
        "appliance.aggregator.commands",
        "the centre that appliances deliver to",
    ),
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other fault is said."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"Run '{self.prog} --help' to see what it takes.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    # Nothing here multiplies matrices: the threads that numpy's library would start cost memory and time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _fill_closed_streams()
    try:
        words = sys.argv[1:] if argv is None else argv
        arguments = _arguments(words)
        to_stderr = logging.StreamHandler()
        to_stderr.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.DEBUG if arguments.verbose else logging.INFO, handlers=[to_stderr])
        code: int = arguments.command(arguments)
        _flush()
    except BrokenPipeError:
        _drop_standard_output()
        return 0
    except KeyboardInterrupt:
        return 130
    except ApplianceError as fault:
        _complain(fault)
        if isinstance(fault, SourceHung):
            # A thread is stuck in the driver: an orderly exit would wait for it.
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(fault.exit_code)
        if isinstance(fault, StoreError):
            _drop_standard_output()
        return fault.exit_code
    return code


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    try:
        return _parser(words).parse_args(words)
    except SystemExit:
        # The help or the version was asked for, and is not out yet where standard output is buffered.
        _flush()
        raise


def _fill_closed_streams() -> None:
    """Where a standard stream is closed, put one there, lest a file that is opened later takes its number.

    What nobody hears on standard error may be lost; to read or write the other two is a fault as any other.
    """
    for number, name, flags in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_RDWR)):
        if getattr(sys, name) is None:
            os.open(os.devnull, flags)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise StoreError(f"cannot write the output: {fault.strerror}") from None


def _complain(fault: ApplianceError) -> None:
    text = " ".join(f"{fault}".split()).rstrip(".")
    with contextlib.suppress(OSError):
        sys.stderr.write(f"appliance: {text}. {fault.hint}\n")
        sys.stderr.flush()


def _drop_standard_output() -> None:
    """Let the interpreter flush to nowhere what nobody takes, instead of complaining at its end."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _run(arguments: argparse.Namespace) -> int:
    import asyncio

    from appliance import app

    asyncio.run(app.run(arguments.config))
    _drop_standard_output()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from appliance import config, status

    return status.report(config.read(arguments.config).config.web, sys.stdout)


def _doctor(arguments: argparse.Namespace) -> int:
    from appliance import config, doctor

    return doctor.examine(config.read(arguments.config), sys.stdout, sys.stderr)


def _listen(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments, arguments.source)
    if arguments.captures and not arguments.control:
        raise UsageError("--captures is of no use without --control", "Give both, or neither.")
    if arguments.control and (arguments.format != "json" or arguments.source == "-"):
        raise UsageError(
            "--control needs standard input for commands, and the format json for its answers",
            "Leave --format out, and give a source other than '-'.",
        )
    return _receive(arguments, settings, live=settings.live, status_interval_s=arguments.status_interval)


def _decode(arguments: argparse.Namespace) -> int:
    return _receive(arguments, _settings(arguments, arguments.file), live=False, status_interval_s=None)


def _receive(
    arguments: argparse.Namespace, settings: "SourceSettings", live: bool, status_interval_s: float | None
) -> int:
    from datetime import UTC, datetime

    from appliance.progress import Progress
    from appliance.radio.command_input import CommandInput
    from appliance.radio.controlled import Control
    from appliance.radio.listen import Listener
    from appliance.radio.memory import keep_freed_memory
    from appliance.radio.output import Output

    keep_freed_memory()
    decoding = status_interval_s is None
    progress = Progress(sys.stderr, settings.sample_rate_hz)
    protocols = _protocols(arguments.protocols)
    output = Output(sys.stdout, arguments.format, live=not decoding)
    control = None
    if not decoding and arguments.control:
        control = Control(CommandInput(sys.stdin.fileno()), output.line, arguments.captures)
    listener = Listener(
        settings,
        protocols,
        output,
        _stop_request(),
        live=live,
        # A recording that is listened to plays now; one that is decoded keeps its own time.
        start=arguments.start if decoding else datetime.now(UTC),
        status_interval_s=status_interval_s,
        control=control,
        progress=progress if decoding else lambda done, total: None,
    )
    try:
        listener.run()
    finally:
        progress.end()
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from appliance.progress import Progress
    from appliance.radio.record import record
    from appliance.radio.stop import StopNow

    settings = _settings(arguments, arguments.source)
    progress = Progress(sys.stderr, settings.sample_rate_hz)
    try:
        record(Path(arguments.file), settings, _stop_request(), arguments.seconds, progress)
    except StopNow:
        pass
    finally:
        progress.end()
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from appliance.radio import simulate_command

    return simulate_command.run(arguments)


def _of_data(arguments: argparse.Namespace) -> int:
    module, _ = DATA_COMMANDS[arguments.name]
    code: int = importlib.import_module(module).run(arguments)
    return code


def _devices(_arguments: argparse.Namespace) -> int:
    from appliance.errors import SourceUnavailable
    from appliance.radio.devices import describe

    text, usable = describe()
    sys.stdout.write(text + "\n")
    return 0 if usable else SourceUnavailable.exit_code


def _stop_request() -> "StopRequest":
    from appliance.radio.stop import StopRequest

    stop = StopRequest()
    stop.on_signals()
    return stop


def _settings(arguments: argparse.Namespace, source: str) -> "SourceSettings":
    from appliance.radio.sources import SourceSettings, check_rate

    names = ("sample_rate_hz", "center_hz", "gain_db", "ppm", "bias_tee", "sample_format", "seed")
    given = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    settings = SourceSettings(source, **given, told=frozenset(given))
    check_rate(settings.sample_rate_hz)
    return settings


def _protocols(text: str) -> tuple[str, ...]:
    from appliance.radio.protocols import PROTOCOLS

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown or not names:
        wrong = f"protocol {', '.join(unknown)} is not known" if unknown else "no protocol is named"
        raise UsageError(wrong, f"Known are: {', '.join(PROTOCOLS)}.")
    return names


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="appliance", description="Hears utility meters by radio and keeps their readings.")
    parser.add_argument("--version", action="version", version=f"appliance {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more on standard error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="name")

    run = _command(commands, "run", _run, "receive, keep the readings and serve the site")
    run.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")

    status = _command(commands, "status", _status, "say how the running appliance is")
    doctor = _command(commands, "doctor", _doctor, "look for what is wrong with this machine, and say what to do")
    for parser_of_one in (status, doctor):
        parser_of_one.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")

    listen = _command(commands, "listen", _listen, "receive from a radio and print what is heard")
    _add_source(listen)
    _add_receiver(listen)
    listen.add_argument("--control", action="store_true", help="take commands on standard input")
    listen.add_argument("--captures", type=Path, metavar="DIR", help="folder for captures, with --control")
    listen.add_argument("--status-interval", type=_positive, default=5.0, metavar="S", help="seconds (default 5)")

    decode = _command(commands, "decode", _decode, "print the messages in a recording")
    decode.add_argument("file", metavar="FILE", help="recording, or - for standard input")
    _add_band(decode)
    _add_receiver(decode)
    decode.add_argument("--start", type=_moment, metavar="TIME", help="time of the first sample (RFC 3339)")

    record = _command(commands, "record", _record, "capture a radio into a cu8 file with SigMF metadata")
    record.add_argument("file", metavar="FILE", help="file to write; without extension it gets .sigmf-data")
    record.add_argument("--seconds", type=_positive, metavar="N", help="how long (default: until stopped)")
    _add_source(record)

    simulate = _command(commands, "simulate", _simulate, "write a simulated neighbourhood into a recording")
    if "simulate" in words:
        # Its arguments come with its code, which takes numpy to load.
        from appliance.radio import simulate_command

        simulate_command.add_arguments(simulate)

    _command(commands, "devices", _devices, "list the dongles and what is wrong with them")

    for name, (module, summary) in DATA_COMMANDS.items():
        parser_of_one = _command(commands, name, _of_data, summary)
        if name in words:
            importlib.import_module(module).add_arguments(parser_of_one)
    return parser


def _command(
    commands: Any, name: str, act: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=act)
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    spec = "rtlsdr, rtlsdr:SERIAL, rtl_tcp://HOST:PORT, simulated, - or a recording (default rtlsdr)"
    parser.add_argument("--source", default="rtlsdr", metavar="SPEC", help=spec)
    _add_band(parser)
    parser.add_argument("--gain", dest="gain_db", type=_gain, metavar="auto|DB", help="tuner gain (default auto)")
    parser.add_argument("--ppm", type=int, metavar="N", help="correction of the radio's crystal (default 0)")
    parser.add_argument("--bias-tee", action="store_true", default=None, help="feed an amplifier at the antenna")
    parser.add_argument("--seed", type=int, metavar="N", help="street that the simulated source plays (default 1)")


def _add_band(parser: argparse.ArgumentParser) -> None:
    rate, center = "samples a second, 1.0 to 3.2 million (default 2359296)", "Hz (default 912600155)"
    parser.add_argument("--sample-rate", dest="sample_rate_hz", type=_hertz, metavar="HZ", help=rate)
    parser.add_argument("--center-freq", dest="center_hz", type=_hertz, metavar="HZ", help=center)
    parser.add_argument("--sample-format", choices=SAMPLE_FORMATS, help="of a recording (default by its extension)")


def _add_receiver(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocols", default="scm", metavar="LIST", help="separated by commas (default scm)")
    parser.add_argument("--format", choices=FORMATS, default="json", help="of the output (default json)")


def _hertz(text: str) -> int:
    value = float(text)
    if not 1 <= value < 1e11:
        raise ValueError(text)
    return round(value)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError(text)
    return value


def _gain(text: str) -> float | None:
    if text == "auto":
        return None
    value = float(text)
    if not -20 <= value <= 100:
        raise ValueError(text)
    return value


def _moment(text: str) -> Any:
    from appliance.model import parse_time

    return parse_time(text)


_hertz.__name__, _positive.__name__, _gain.__name__, _moment.__name__ = "frequency", "number", "gain", "RFC 3339 time"
