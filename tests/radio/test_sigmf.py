import json
from datetime import UTC, datetime

from appliance.radio import sigmf

START = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
WHOLE = sigmf.Description(
    "cu8", 2_359_296.0, 912_600_155, START, "rtlsdr:1", 40.2, -3, True, (sigmf.Gap(100, 7), sigmf.Gap(500, 20))
)


def test_what_is_written_is_read_back(tmp_path):
    for name in ("a.sigmf-data", "b.cu8"):
        sigmf.write(tmp_path / name, WHOLE, "recorder")
        assert sigmf.read(tmp_path / name) == WHOLE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sigmf-meta", "b.sigmf-meta"]


def test_gaps_are_segments_and_annotations(tmp_path):
    sigmf.write(tmp_path / "a.sigmf-data", WHOLE, "recorder")
    record = json.loads((tmp_path / "a.sigmf-meta").read_text())
    assert [(c["core:sample_start"], c["core:global_index"]) for c in record["captures"]] == [
        (0, 0),
        (100, 107),
        (500, 527),
    ]
    assert [note["core:comment"].split()[0] for note in record["annotations"]] == ["7", "20"]
    assert record["captures"][0]["core:datetime"] == "2026-01-02T03:04:05.000600Z"


def test_metadata_of_another_recording_is_not_taken(tmp_path):
    sigmf.write(tmp_path / "a.cu8", WHOLE, "recorder")
    assert sigmf.read(tmp_path / "a.cs16") is None
    assert sigmf.read(tmp_path / "b.cu8") is None


def test_a_recording_cut_out_of_a_longer_one_has_no_gap(tmp_path):
    meta = {
        "global": {"core:datatype": "cu8", "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0, "core:global_index": 900}, {"core:sample_start": 10}],
    }
    (tmp_path / "a.sigmf-meta").write_text(json.dumps(meta))
    assert sigmf.read(tmp_path / "a.sigmf-data") == sigmf.Description("cu8")
