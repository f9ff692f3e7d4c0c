"""What the README measures on data of others: minutes, beside what shares the home of a log."""

import pytest

from tests.e2e.conftest import ROOT, Circle, shell_blocks


@pytest.mark.parametrize(
    "block", [b for b in shell_blocks(starting="rapport evaluate") if "../shared" in b]
)
def test_what_others_labelled_is_measured(block):
    if not (ROOT.parent / "shared/data").is_dir():
        pytest.skip("the data sets are not beside the checkout")
    ran = Circle(ROOT).shell(block)
    assert ran.returncode == 0, ran.stderr
