"""A dongle without a dongle: the real pyrtlsdr over a small C library with librtlsdr's ABI.

pyrtlsdr takes its library from the package pyrtlsdrlib. A package of that name, first in the path of the processes
that the tests start, hands it the stand-in; neither pyrtlsdr nor the appliance knows the difference.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

PYRTLSDRLIB = """
import ctypes, os
def load_librtlsdr():
    return ctypes.CDLL(os.environ["STAND_IN_LIBRARY"])
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds the stand-in in place of librtlsdr."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc): the dongle's driver cannot be built")
    folder = tmp_path_factory.mktemp("stand_in")
    library = folder / "librtlsdr.so"
    source = HERE / "librtlsdr_stand_in.c"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    package = folder / "path" / "pyrtlsdrlib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PYRTLSDRLIB)
    path = os.pathsep.join([str(package.parent), str(ROOT)])
    return os.environ | {"STAND_IN_LIBRARY": str(library), "PYTHONPATH": path, "STAND_IN_SERIALS": "00000001"}


@pytest.fixture
def start(stand_in: dict[str, str]) -> Iterator[Start]:
    """Starts `appliance` with these arguments and STAND_IN_… settings; ended with the test."""
    started = []

    def run(*arguments: object, stdin: int = subprocess.DEVNULL, **settings: object) -> subprocess.Popen[str]:
        environment = stand_in | {f"STAND_IN_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-W", "error", "-m", "appliance", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": stdin}
        process = subprocess.Popen(command, env=environment, text=True, **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
