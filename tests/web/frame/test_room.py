"""How many connections there is room for, in all and from one address."""

import contextlib

from appliance.web.frame.room import Room


def test_one_address_has_its_share_and_no_more() -> None:
    room = Room(most=10, most_from_one=2)
    with contextlib.ExitStack() as held:
        assert all(held.enter_context(room.place("192.0.2.7")) for _ in range(2))
        for same in ("192.0.2.7", "::ffff:192.0.2.7"):
            assert not held.enter_context(room.place(same))
        assert all(held.enter_context(room.place(f"2001:db8:1:2::{n}")) for n in range(2))
        assert not held.enter_context(room.place("2001:db8:1:2:3::4"))
        assert held.enter_context(room.place("2001:db8:1:3::4"))
        assert held.enter_context(room.place("192.0.2.8"))
    with room.place("192.0.2.7") as is_there:
        assert is_there


def test_programs_here_have_no_share_but_all_have_an_end() -> None:
    room = Room(most=4, most_from_one=1)
    with contextlib.ExitStack() as held:
        assert all(held.enter_context(room.place(peer)) for peer in ("127.0.0.1", "127.0.0.1", "::1", "192.0.2.7"))
        assert not any(held.enter_context(room.place(peer)) for peer in ("127.0.0.1", "192.0.2.8"))


def test_who_is_refused_takes_no_place() -> None:
    room = Room(most=2, most_from_one=1)
    with room.place("192.0.2.7"), room.place("192.0.2.7") as again, room.place("192.0.2.8") as other:
        assert (again, other) == (False, True)
