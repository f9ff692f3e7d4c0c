"""Which releases there were, what each came from, and what the gate said."""

from rapport.release import list_releases
from rapport.report.blocks import Section, Table
from rapport.report.facts import Facts


def lineage(facts: Facts) -> Section:
    """The section."""
    rows = []
    for one in list_releases(facts.home.releases):
        made = one.manifest
        verdict = (made.verdict or {}) if made else {}
        rows.append(
            (
                one.release_id,
                made.alias if made else one.fault,
                f"{made.created:%Y-%m-%d %H:%M} UTC" if made else None,
                ", ".join(made.parents) or "-" if made else None,
                "promoted" if verdict.get("promoted") else "refused" if verdict else "-",
                ", ".join(f"{t} {v}" for t, v in made.table_versions.items()) if made else None,
                "serves" if one.is_current else "",
            )
        )
    columns = ("release", "alias", "made", "from", "gate", "table versions", "")
    blocks = [Table("Releases, oldest first", columns, rows)] if rows else []
    lead = (
        "Every release names the versions of the tables it was made from; "
        "rapport release show --rebuild prints the commands that make it again."
    )
    return Section("Lineage", [lead if rows else "No release was published yet."], blocks)
