"""`rapport evaluate control`: what personal answers are worth above the control group."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rapport.cli.options import DEFAULT_HOME, HomeOption, JsonOption, TenantOption, plainly
from rapport.cli.printing import print_rows
from rapport.errors import TooLittleDataError
from rapport.home import Home
from rapport.runner import show

if TYPE_CHECKING:
    from rapport.report.leads import Lead


@plainly
def control(
    tenant: TenantOption = "default", home: HomeOption = DEFAULT_HOME, json_: JsonOption = False
) -> None:
    """Say how far releases lead over the control group, overall and by persona.

    Control is a twentieth of the users by hash, answered without persona, adapter or arm. Each user
    counts once; with fewer than 20 on a side there is no figure.
    """
    from rapport.lake import Lake
    from rapport.report.facts import Facts
    from rapport.report.leads import lead_table, leads

    opened = Home(home)
    found = leads(Facts(opened, Lake(opened.lake), tenant))
    if not found:
        raise TooLittleDataError("answered decisions of the control group", 0, 1)
    if json_:
        show({"leads": [_stated(one) for one in found]}, as_json=True)
        return
    table = lead_table(found)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    print_rows(rows, title=table.caption)


def _stated(one: "Lead") -> dict[str, Any]:
    return {**asdict(one), "told": one.told}
