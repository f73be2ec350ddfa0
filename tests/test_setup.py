"""setup.sh on machines that lack something: a PATH of its own, with stand-ins for what it asks and what it calls."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "env", "dirname", "cat", "sha256sum", "cut", "readlink", "mktemp", "tail", "rm", "mkdir", "chmod", "cp")

# A Python that answers what setup.sh asks of it: {version} as text and as the answer to "3.11 or later",
# modules venv and ensurepip once a file called {has_venv} is there.
PYTHON = """#!/bin/sh
case "$*" in
    *ensurepip*) test -e {has_venv} ;;
    *version_info*) echo {version}; exit {too_old} ;;
    *--version*) echo Python {version}.0 ;;
    "-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"-m pip"*) echo "$*" >>{log} ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


@dataclass
class Machine:
    folder: Path

    @property
    def calls(self) -> str:
        log = self.folder / "log"
        return log.read_text() if log.exists() else ""

    def tool(self, name: str, script: str) -> Path:
        path = self.folder / "bin" / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def python(self, name: str = "python3", version: str = "3.11", *, has_venv: bool = True) -> None:
        marker = self.folder / "has_venv"
        if has_venv:
            marker.touch()
        too_old = int(tuple(map(int, version.split("."))) < (3, 11))
        self.tool(name, PYTHON.format(version=version, too_old=too_old, has_venv=marker, log=self.folder / "log"))

    def setup(self, what: str, python: str = "python3") -> subprocess.CompletedProcess[str]:
        """Runs it; PYTHON keeps it from falling back on the real machine's own /usr/bin/python3."""
        return subprocess.run(
            [self.folder / "bin" / "sh", self.folder / "checkout" / "setup.sh", what],
            env={"PATH": str(self.folder / "bin"), "PYTHON": python, "POSTGRESQL": str(self.folder / "postgresql")},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    (tmp_path / "checkout").mkdir()
    for name in ("setup.sh", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path / "checkout")
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (tmp_path / "bin" / name).symlink_to(found)
    made = Machine(tmp_path)
    made.tool("id", "#!/bin/sh\necho 1000\n")
    made.tool("apt-get", f'#!/bin/sh\necho "apt-get $DEBIAN_FRONTEND $*" >>{tmp_path}/log; touch {tmp_path}/has_venv\n')
    (tmp_path / "bin" / "touch").symlink_to(shutil.which("touch") or "touch")
    return made


def in_debian(machine: Machine) -> None:
    """Let the stand-in pass for Debian's own Python, whose venv module is a package."""
    (machine.folder / "bin" / "readlink").unlink()
    machine.tool("readlink", "#!/bin/sh\necho /usr/bin/python3.11\n")


def test_makes_the_environment_once(machine: Machine) -> None:
    machine.python()
    done = machine.setup("run")
    assert done.returncode == 0, done.stderr
    assert "--require-hashes -r requirements.lock" in machine.calls
    assert "--no-deps --no-build-isolation -e ." in machine.calls
    before = machine.calls
    again = machine.setup("run")
    assert (again.returncode, again.stderr) == (0, "")
    assert machine.calls == before


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_installs_again_when_a_pin_changed(machine: Machine, changed: str) -> None:
    machine.python()
    machine.setup("run")
    before = machine.calls
    with (machine.folder / "checkout" / changed).open("a") as file:
        file.write("# another version\n")
    assert machine.setup("run").returncode == 0
    assert machine.calls != before


def test_installs_again_when_the_system_brought_a_newer_python(machine: Machine) -> None:
    machine.python()
    machine.setup("run")
    before = machine.calls
    machine.python(version="3.13")
    shutil.copy(machine.folder / "bin" / "python3", machine.folder / "checkout" / ".venv" / "bin" / "python")
    assert machine.setup("run").returncode == 0
    assert machine.calls != before


def test_without_the_right_it_names_what_is_missing_and_the_command(machine: Machine) -> None:
    machine.python(has_venv=False)
    in_debian(machine)
    done = machine.setup("test")
    assert done.returncode == 1
    assert "gcc" in done.stderr
    command = (
        "sudo apt-get update && sudo apt-get install --no-install-recommends gcc libc6-dev chromium"
        " iproute2 postgresql python3.11-venv"
    )
    assert command in done.stderr
    assert machine.calls == ""


@pytest.mark.parametrize("by", ["root", "sudo"])
def test_with_the_right_it_installs_without_asking(machine: Machine, by: str) -> None:
    machine.python(has_venv=False)
    in_debian(machine)
    if by == "root":
        machine.tool("id", "#!/bin/sh\necho 0\n")
    else:
        machine.tool("sudo", '#!/bin/sh\ntest "$1" = -n && shift && exec "$@"\n')
        (machine.folder / "bin" / "true").symlink_to("/bin/true")
    done = machine.setup("run")
    assert done.returncode == 0, done.stderr
    update, install = machine.calls.splitlines()[:2]
    assert update.startswith("apt-get noninteractive")
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends python3.11-venv")


def test_a_failed_installation_shows_the_last_words_of_apt(machine: Machine) -> None:
    machine.python(has_venv=False)
    in_debian(machine)
    machine.tool("id", "#!/bin/sh\necho 0\n")
    machine.tool("apt-get", "#!/bin/sh\necho 'E: no network here'; exit 100\n")
    done = machine.setup("run")
    assert done.returncode == 1
    assert "E: no network here" in done.stderr
    assert "python3.11-venv" in done.stderr


def test_a_system_without_apt_is_told_what_debian_calls_it(machine: Machine) -> None:
    machine.python(has_venv=False)
    in_debian(machine)
    (machine.folder / "bin" / "apt-get").unlink()
    done = machine.setup("run")
    assert done.returncode == 1
    assert "python3.11-venv" in done.stderr


def test_a_newer_python_is_taken_when_the_first_is_too_old(machine: Machine) -> None:
    machine.python(version="3.9")
    machine.python("python3.12", version="3.12")
    done = machine.setup("run", python="python3 python3.12")
    assert done.returncode == 0, done.stderr
    assert "Python 3.12" in done.stderr


def test_an_older_python_is_refused(machine: Machine) -> None:
    machine.python(version="3.9")
    done = machine.setup("run")
    assert done.returncode == 1
    assert "3.9" in done.stderr
    assert "3.11 or later" in done.stderr


def test_a_python_of_ones_own_without_venv_is_refused(machine: Machine) -> None:
    machine.python(has_venv=False)
    done = machine.setup("run")
    assert done.returncode == 1
    assert "ensurepip" in done.stderr


def test_nothing_asked_for(machine: Machine) -> None:
    done = machine.setup("")
    assert done.returncode == 1
    assert "run, check, test" in done.stderr
