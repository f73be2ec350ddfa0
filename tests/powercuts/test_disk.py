"""What a power cut may leave, by small examples: every outcome that is allowed comes up, and no other."""

from random import Random

from benchmarks.powercuts.disk import MANNERS, Disk, Entry, Kind, Tree

EMPTY = Tree(frozenset(), {})
OLD, NEW = b"o" * 1024, b"n" * 1024


def entry(kind: Kind, inode: int = 0, name: str = "", other: str = "", data: bytes = b"", offset: int = 0) -> Entry:
    return Entry(kind, inode, offset, name, other, data)


def disk(*entries: Entry, tree: Tree = EMPTY, **inodes: int) -> Disk:
    made = Disk(tree, {"": 1} | inodes)
    for number, each in enumerate(entries):
        made.apply(number, each)
    return made


def left(made: Disk, *manners: str) -> set[tuple[tuple[str, bytes], ...]]:
    """The files that are left, in all ways of 300 cuts."""
    trees = (made.cut(Random(seed), manner) for manner in manners for seed in range(300))
    return {tuple(sorted(tree.files.items())) for tree in trees}


CREATED = (entry(Kind.CREATE, 7, "a"), entry(Kind.WRITE, 7, data=NEW))


def test_what_was_synced_is_left_and_only_that_is_sure() -> None:
    made = disk(*CREATED, entry(Kind.SYNC, 7), entry(Kind.SYNC, 1))
    assert left(made, *MANNERS) == {(("a", NEW),)}
    assert left(disk(*CREATED), "none") == {()}
    assert left(disk(*CREATED), "all") == {(("a", NEW),)}


def test_the_data_of_a_file_does_not_make_its_name_durable_nor_the_other_way_round() -> None:
    assert left(disk(*CREATED, entry(Kind.SYNC, 7)), "any") == {(), (("a", NEW),)}
    contents = {files[0][1] for files in left(disk(*CREATED, entry(Kind.SYNC, 1)), "any")}
    assert contents == {b"", NEW, bytes(512) + NEW[:512], NEW[:512] + bytes(512), NEW[:512], bytes(1024)}


def test_a_write_is_torn_at_sectors_of_the_disk() -> None:
    tree = Tree(frozenset(), {"a": OLD})
    made = disk(entry(Kind.WRITE, 7, data=NEW[:524], offset=500), tree=tree, a=7)
    pieces = [(a, b, c) for a in (OLD, NEW) for b in (OLD, NEW) for c in (OLD, NEW)]
    assert left(made, "journal") == {(("a", OLD[:500] + a[:12] + b[:512]),) for a, b, _ in pieces}


def test_later_writes_may_be_left_without_earlier_ones_but_not_when_they_reach_the_disk_in_order() -> None:
    writes = (entry(Kind.WRITE, 7, data=b"1"), entry(Kind.WRITE, 7, data=b"2", offset=600))
    made = disk(*writes, tree=Tree(frozenset(), {"a": OLD}), a=7)
    second = OLD[:600] + b"2" + OLD[601:]
    assert (("a", second),) in left(made, "any")
    assert (("a", second),) not in left(made, "prefix")


def test_a_rename_is_whole_and_survives_once_either_directory_was_synced() -> None:
    tree = Tree(frozenset({"d"}), {"a": OLD, "d/b": NEW})
    rename = entry(Kind.RENAME, name="a", other="d/b")
    moved, unmoved = (("d/b", OLD),), (("a", OLD), ("d/b", NEW))
    inodes = {"a": 7, "d": 2, "d/b": 8}
    assert left(disk(rename, tree=tree, **inodes), *MANNERS) == {moved, unmoved}
    for directory in (1, 2):
        assert left(disk(rename, entry(Kind.SYNC, directory), tree=tree, **inodes), *MANNERS) == {moved}


def test_changes_of_one_name_keep_their_order_those_of_two_only_in_a_journal() -> None:
    aside = entry(Kind.RENAME, name="a", other="old")
    made = disk(aside, entry(Kind.CREATE, 8, "a"), entry(Kind.CREATE, 9, "b"), tree=Tree(frozenset(), {"a": OLD}), a=7)
    before, between, after = {"a": OLD}, {"old": OLD}, {"old": OLD, "a": b""}
    in_order = {tuple(sorted(files.items())) for files in (before, between, after, after | {"b": b""})}
    assert left(made, "journal", "prefix") == in_order
    assert left(made, "any") == in_order | {tuple((files | {"b": b""}).items()) for files in (before,)} | {
        (("b", b""), ("old", OLD))
    }


def test_an_inode_that_is_used_again_is_another_file() -> None:
    again = (entry(Kind.UNLINK, name="a"), entry(Kind.CREATE, 7, "b"), entry(Kind.WRITE, 7, data=NEW))
    made = disk(*again, entry(Kind.SYNC, 7), tree=Tree(frozenset(), {"a": OLD}), a=7)
    assert left(made, *MANNERS) == {(("a", OLD),), (), (("b", NEW),), (("a", OLD), ("b", NEW))}


def test_shared_memory_is_either_gone_or_noise() -> None:
    made = disk(
        entry(Kind.SYNC, 1), tree=Tree(frozenset(), {"x.db-wal": NEW, "x.db": OLD}), **{"x.db-wal": 7, "x.db": 8}
    )
    names = {tuple(name for name, _ in files) for files in left(made, "any")}
    assert names == {("x.db", "x.db-wal"), ("x.db", "x.db-shm", "x.db-wal")}
