"""A list of assignments as spreadsheets and people write it."""

from decimal import Decimal
from pathlib import Path

import pytest

from appliance.aggregator.assignment_file import Wrong, read_list, written
from appliance.assignment import MOST_ASSIGNED, Assignment
from appliance.errors import InputError


def read(tmp_path: Path, text: str | bytes) -> tuple[Assignment, ...]:
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(path)


HOUSE = Assignment(60243827, "scm", "Calle 5, 12", "Calle 5 nº 12, Ñuñoa", Decimal("0.01"))
PLAIN = Assignment(5, "", "Pozo", "", Decimal(1))


@pytest.mark.parametrize(
    "text",
    [
        "meter_id,protocol,name,address,multiplier\n"
        '60243827,scm,"Calle 5, 12","Calle 5 nº 12, Ñuñoa",0.01\n5,,Pozo,,\n',
        # As Excel set to Chile saves it: semicolons, decimal commas, CR LF, its mark, empty rows at the end.
        "\ufeffmeter_id;Multiplier;NAME;Address;protocol\r\n5;1;Pozo;;\r\n"
        "60243827;0,010;Calle 5, 12;Calle 5 nº 12, Ñuñoa;SCM\r\n;;;;\r\n\r\n",
        "meter_id,name,address,multiplier,protocol\n"
        '"60243827"," Calle 5,\u00a0 12 ","Calle 5 nº\n12, Ñuñoa","0,01",scm\n5,Pozo,,,\n',
    ],
)
def test_ways_to_write_the_same(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (PLAIN, HOUSE)


def test_columns_that_may_be_missing(tmp_path: Path) -> None:
    assert read(tmp_path, "meter_id,name,address\n5,Pozo,") == (PLAIN,)
    assert read(tmp_path, "address;name;meter_id\n;Pozo;5") == (PLAIN,)
    assert read(tmp_path, "meter_id,name,address\n") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column 'meter_id'"),
        ("meter_id,name\n", "has no column 'address'"),
        ("5,Pozo,Calle 5\n", "has no column 'meter_id'"),
        ("meter_id,name,address,customer\n", "has an unknown column 'customer'"),
        ("meter_id,name,address,name\n", "has twice the column 'name'"),
        ("meter_id,name,address\n5,Ñuble,\n".encode("latin-1"), "is not UTF-8, in line 2"),
        ('meter_id,name,address\n5,"' + "x" * 200_000, "is no CSV: field larger than field limit"),
        (b" " * ((16 << 20) + 1), "has more than 16 MB"),
        (
            "meter_id,name,address\n" + "".join(f"{n},,\n" for n in range(1, MOST_ASSIGNED + 2)),
            f"more than {MOST_ASSIGNED} meters",
        ),
    ],
)
def test_a_file_that_is_no_list(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)
    with pytest.raises(InputError, match="cannot be read"):
        read_list(tmp_path / "nowhere.csv")


def test_each_bad_line_is_named(tmp_path: Path) -> None:
    rows = [
        "1,,Pozo,,1", "1,,Otro,,1", "2,scm,Pozo,,1", "2,idm,Pozo,,1", "2,,Pozo,,1", "60.243.827,,Pozo,,", "6E+07,,,,",
        "3,,Pozo", "4,,Pozo,,0", "5,,Pozo,,1.000", '6,,Pozo,,"1,125"', "7,,Pozo,,-1", "8,scm!,Pozo,,",
        f"9,,{'x' * 65},,", "10,,a\u202eb,,", '11,,"two\nlines",,x', "12,,Pozo,,0.0000001", "0,,Pozo,,",
        "13,,Pozo,,1000001", '14,,Pozo,,"1.000,5"',
    ]  # fmt: skip
    with pytest.raises(Wrong, match=r"17 lines are wrong in .*list.csv; nothing was changed") as fault:
        read(tmp_path, "meter_id,protocol,name,address,multiplier\n" + "\n".join(rows) + "\n")
    words = dict(fault.value.lines)
    # A line that goes on counts from where it begins.
    assert sorted(words) == [3, *range(6, 18), *range(19, 23)]
    assert words[3] == "meter 1 stands in line 2 already"
    assert words[6] == "meter 2 stands in line 4 already"
    assert words[7] == "meter_id is '60.243.827', expected digits alone, such as 60243827"
    assert words[9] == "3 cells, expected 5"
    assert words[11] == "multiplier is '1.000', which may mean 1000 or 1: write 1000, or 1"
    assert words[17] == "multiplier is 'x', expected a number such as 40, 0.01 or 0,01"
    assert words[16] == "name is 'a\\u202eb', expected printable text"


def test_what_is_printed_is_read_again(tmp_path: Path) -> None:
    multipliers = ("1", "40", "0.01", "1.125", "999.999", "0.125", "1000.125", "1000000", "0.000001", "12.5")
    meters = tuple(
        Assignment.of(1 + n, "r900" if n % 2 else "", '"house", ;\'', "=1+1, Ñuñoa", text)
        for n, text in enumerate(multipliers)
    )
    assert read(tmp_path, written(meters)) == meters
    assert read(tmp_path, written(())) == ()
