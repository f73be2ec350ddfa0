"""The documents agree with the program and with each other, and nothing of anybody's machine is in the repository."""

import re
import subprocess
from pathlib import Path

import pytest

from appliance import __version__, errors

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])

LINK = re.compile(r"\]\(([^)\s]+)\)")
# Index addresses of packages, in any spelling that pip, uv, npm or apt understand.
INDEX = re.compile(
    r"--(?:extra-)?index-url\b|--find-links\b|--trusted-host\b|\bindex-url\s*=|^\s*-[if]\s+\S+:|"
    r"https?://[^\s/\"']*(?:\bpypi\b|python[h]osted|\bmirror|artifactory|\bnexus\b|\bproxy\b|npm[j]s)",
    re.MULTILINE | re.IGNORECASE,
)
# A folder of whoever worked on it: /home/pi or /root, or where a checkout happened to lie.
OWN_FOLDER = re.compile(r"(?<![\w.~}/-])/(?:home|root|work|Users|opt|mnt)/[\w.-]+")


def tracked() -> list[Path]:
    """All files of the repository, or without git all in the folders that it has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        folders = ("appliance", "benchmarks", "docs", "image", "tests", ".ci")
        return [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def leaks(text: str) -> list[str]:
    return [found.group() for pattern in (INDEX, OWN_FOLDER) for found in pattern.finditer(text)]


def test_no_file_names_an_index_or_a_folder_of_its_author() -> None:
    this = Path(__file__)
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if path != this and b"\0" not in content[:8192] and (leaked := leaks(content.decode("utf-8", "replace"))):
            found[str(path.relative_to(ROOT))] = leaked
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://example.org/simple",
        "-i https://example.org/simple",
        "--find-links wheels",
        "extra-index-url = file:///srv/simple",
        "x @ https://pypi.example.org/packages/x.whl",
        "https://files.{}hosted.org/packages/x.whl".format("python"),
        "deb http://mirror.example.org{} bookworm main".format("/debian"),
        "see /home/ana/meter-appliance/docs",
        'ROOT = "/work/main"',
    ],
)
def test_a_leak_is_found(text: str) -> None:
    assert leaks(text)


@pytest.mark.parametrize("text", ["/etc/meter-appliance", "https://en.wikipedia.org/wiki/X", "a/home/b", "make lock"])
def test_what_is_no_leak_passes(text: str) -> None:
    assert leaks(text) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            assert (path.parent / target.split("#")[0]).exists(), f"{path.name} links to {target}"


def test_every_exit_code_is_documented_and_no_other() -> None:
    kinds = [errors.ApplianceError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    table = (ROOT / "docs/commands.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert documented == {kind.exit_code for kind in kinds} | {0, 1, 130}


def test_the_commands_of_the_readme_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", readme))
    assert {"run", "test", "check"} <= named <= targets
    assert {f"make {word}" for word in ("check", "test")} <= set((ROOT / ".ci/run").read_text().splitlines())


def test_each_document_is_reached_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_the_changelog_tells_of_this_version() -> None:
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("heading", ["Meters", "Radio", "Messages", "The appliance"])
def test_the_glossary_defines_each_term_in_both_languages(heading: str) -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    section = glossary.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| **")]
    assert len(rows) >= 5
    for english, spanish, definition in rows:
        assert spanish.startswith("**"), english
        assert definition.count("<br>") == 1, english
    terms = [english.split("**")[1].casefold() for english, _, _ in rows]
    assert terms == sorted(terms), "in alphabetical order"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_each_package_is_pinned_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    packages = [line for line in lines if not line.startswith(" ")]
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)? \\$", line) for line in packages)
    assert all(re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line) for line in lines if line.startswith(" "))
    declared = re.findall(r'^    "([a-z0-9-]+)>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = {line.split("==")[0] for line in packages}
    runtime = set(declared[: declared.index("pytest")])
    assert (runtime if lock == "requirements.lock" else set(declared)) <= pinned
