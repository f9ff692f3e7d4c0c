import json

from rapport.ingest.counts import Counts, Tally


def test_counts_are_one_json_object_with_the_accepted_rows_on_top():
    counts = Counts(
        format="esconv",
        tables={"dialogues": Tally(3, 1, 1, 1), "turns": Tally(9, 5, 4)},
        quarantine=Tally(1, 1),
        reasons={"is not JSON": 1},
        facts={"dialogues": {"dialogues": 2}},
    ).as_dict()
    assert json.loads(json.dumps(counts)) == counts
    assert (counts["turns"], counts["quarantined"]) == (9, 1)
    assert counts["dialogues"] == {"dialogues": 2}
    assert counts["tables"]["dialogues"] == {
        "read": 3,
        "kept": 1,
        "duplicate": 1,
        "quarantined": 1,
    }
