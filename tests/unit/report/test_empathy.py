import re
from html.parser import HTMLParser

from rapport.report.empathy import card_page
from tests.unit.card.cards import a_card, a_group_row, a_judgement, a_report

_VOID = {"meta", "br", "hr", "img", "path", "use", "rect", "line"}


class Outline(HTMLParser):
    """Headings, tags that stay open, and what pictures are called."""

    def __init__(self):
        super().__init__()
        self.headings, self.open, self.pictures = [], [], []

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if facts.get("role") == "img":
            self.pictures.append(facts.get("aria-label"))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass


def a_page(tmp_path):
    rows = (
        a_group_row("persona/dry-01", low=0.01),
        a_group_row("persona/<warm>", low=-0.3, status="failed"),
    )
    reports = {"shared": a_report(), "dry-01": a_report(gain=0.05)}
    return card_page(a_card(tmp_path, verdict=a_judgement(*rows), reports=reports))


def test_the_page_stands_alone_and_is_well_formed(tmp_path):
    page = a_page(tmp_path)
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.headings[0] == 1
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    assert outline.pictures
    assert all(outline.pictures)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "<warm>" not in page
    assert 'lang="en"' in page


def test_verdicts_are_told_in_words_and_lead_to_their_section(tmp_path):
    page = a_page(tmp_path)
    for words in ("Refused", "Not measured", "What it cannot say", "Whom does it harm?"):
        assert words in page
    assert {"#helps", "#harms", "#cannot", "#lineage"} <= set(re.findall(r'href="(#\w+)"', page))
    for anchor in re.findall(r'href="#(\w+)"', page):
        assert f'id="{anchor}"' in page
