"""The archive in a backup: what is put in comes out, and tar itself can read it; what nobody put in is refused."""

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.archive import tar
from appliance.errors import InputError, StoreError

NAMES = st.lists(st.text("abcdefg012ñ-", min_size=1, max_size=12), min_size=1, max_size=4).map("/".join)


def written(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    for name, content in files.items():
        tar.add(target, name, len(content), 0o640, io.BytesIO(content))
    tar.end(target)
    return target.getvalue()


def read(content: bytes, most_bytes: int = 10_000_000) -> dict[str, bytes]:
    return {m.name: b"".join(m.pieces()) for m in tar.members(io.BytesIO(content), most_bytes)}


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_put_in_comes_out_and_tar_reads_it(files: dict[str, bytes]) -> None:
    content = written(files)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        assert {name: tar.extractfile(name).read() for name in tar.getnames()} == files  # type: ignore[union-attr]
    if any(other.startswith(f"{one}/") for one in files for other in files):
        with pytest.raises(InputError, match="two files"):
            read(content)
    else:
        assert read(content) == files


def test_content_that_nobody_reads_is_passed_over() -> None:
    content = written({"a": bytes(5000), "b": b"x"})
    assert [m.name for m in tar.members(io.BytesIO(content), 10_000)] == ["a", "b"]


def made_by_tar(*members: tuple[str, bytes, dict[str, object]], form: int = tarfile.USTAR_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for name, kind, more in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            for attribute, value in more.items():
                setattr(info, attribute, value)
            tar.addfile(info)
    return target.getvalue()


HOSTILE = {
    "absolute": ("/etc/passwd", tarfile.REGTYPE, {}),
    "above": ("../../etc/passwd", tarfile.REGTYPE, {}),
    "above, further in": ("history/../../x", tarfile.REGTYPE, {}),
    "here": ("./x", tarfile.REGTYPE, {}),
    "hidden": (".ssh/authorized_keys", tarfile.REGTYPE, {}),
    "two slashes": ("a//b", tarfile.REGTYPE, {}),
    "a control character": ("a\nb", tarfile.REGTYPE, {}),
    "symbolic link": ("x", tarfile.SYMTYPE, {"linkname": "/etc"}),
    "hard link": ("x", tarfile.LNKTYPE, {"linkname": "catalogue.db"}),
    "character device": ("x", tarfile.CHRTYPE, {}),
    "block device": ("x", tarfile.BLKTYPE, {}),
    "pipe": ("x", tarfile.FIFOTYPE, {}),
    "folder": ("x", tarfile.DIRTYPE, {}),
    "sparse": ("x", tarfile.GNUTYPE_SPARSE, {}),
    "contiguous": ("x", tarfile.CONTTYPE, {}),
    "unknown": ("x", b"Z", {}),
}


@pytest.mark.parametrize("member", HOSTILE.values(), ids=HOSTILE)
def test_what_no_backup_holds_is_refused_by_name(member: tuple[str, bytes, dict[str, object]]) -> None:
    with pytest.raises(InputError, match=r"the backup holds .*'"):
        read(made_by_tar(member))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extensions_of_tar_are_refused(form: int) -> None:
    with pytest.raises(InputError, match="no regular file"):
        read(made_by_tar(("x" * 300, tarfile.REGTYPE, {}), form=form))


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "a/b"]])
def test_two_files_of_one_name(names: list[str]) -> None:
    with pytest.raises(InputError, match="two files"):
        read(made_by_tar(*((name, tarfile.REGTYPE, {}) for name in names)))


def with_size(field: bytes) -> bytes:
    block = bytearray(made_by_tar(("x", tarfile.REGTYPE, {}))[:512])
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "field", [b"77777777777\0", b"\x80" + bytes(3) + b"\xff" * 8, b"\xff" * 12], ids=["8 GB", "2^64", "negative"]
)
def test_sizes_that_cannot_be(field: bytes) -> None:
    with pytest.raises(InputError, match="larger than the backup"):
        read(with_size(field) + bytes(10_240))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: c[:700], "ends in the middle"),
        (lambda c: c[:1024], "ends in the middle"),
        (lambda c: c + b"more", "goes on after its end"),
        (lambda c: b"\xff" * 512 + c, "no file"),
        (lambda c: c.replace(b"ustar", b"ustaX"), "no file"),
        (lambda c: c[:2] + b"\xff" + c[3:], "no file"),
        (lambda c: b"", "ends in the middle"),
    ],
)
def test_what_is_no_archive(spoil: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(spoil(written({"name": b"content"})))


def test_a_file_that_shrinks_or_whose_name_is_too_long() -> None:
    with pytest.raises(StoreError, match="x became shorter"):
        tar.add(io.BytesIO(), "x", 10, 0o600, io.BytesIO(b"12345"))
    with pytest.raises(StoreError, match="cannot go into a backup"):
        tar.add(io.BytesIO(), "y" * 300, 0, 0o600, io.BytesIO())
