"""The page is well-formed, self-contained, within its size and safe from the names in it."""

import re
from html.parser import HTMLParser

import pytest

from jaxret.report.figures.pictures import Hit, Picture, QueryRow, Sheet
from jaxret.report.page import html
from jaxret.report.tables.cells import DASH, MINUS

VOID = {"meta", "link", "img", "br"}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


class Outline(HTMLParser):
    """Checks that tags close in order and keeps what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.tags, self.text = [], [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), name
            if name in ("src", "href", "xlink:href", "action", "srcset", "data", "poster"):
                self.links.append(value)
            if name == "id" and value:
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def make_sheet(name="a.jpg", rows=3, uri=PIXEL):
    picture = Picture(name, uri, 1, 1)
    hits = tuple(
        Hit(rank, status, picture, 0.5)
        for rank, status in enumerate(("correct", "wrong", "junk", "unjudged"), 1)
    )
    gone = Hit(5, "wrong", Picture(name, "", problem="it does not decode"))
    row = QueryRow(picture, (*hits, gone), "worst", 0.25, 3, 1)
    return Sheet("demo", (row,) * rows, "efficientnet-lite0", "G", "medium")


def test_page_is_well_formed_and_self_contained(results):
    outline = Outline(html.page(results, [make_sheet()]))
    outside = [link for link in outline.links if not link.startswith(("#", "data:"))]
    assert outside == []
    assert not {"script", "iframe", "object", "embed", "form"} & set(outline.tags)
    anchors = [link[1:] for link in outline.links if link.startswith("#")]
    assert set(anchors) <= set(outline.ids)


def test_page_explains_itself(results):
    words = " ".join(Outline(html.page(results, [make_sheet()])).text)
    for needed in ("Mean average precision", "Diffusion", "Only difficult views", "same thing"):
        assert needed in words
    for figure in ("97.00", "0.500", "it does not decode", "Apache-2.0", "cd" * 32, "0.10.2"):
        assert figure in words


def test_verdicts_are_told_by_signs_and_words_too(results):
    text = html.page(results, [make_sheet()])
    for status, sign in (("correct", "✓"), ("wrong", "✗"), ("junk", DASH)):
        assert f'aria-label="{status}">{sign}<' in text


def test_plots_differ_in_their_ids(make_results):
    page = html.page(make_results(("one", "two")))
    assert Outline(page).tags.count("svg") > 6
    clips = re.findall(r'<clipPath id="(\w+)"', page)
    assert len(clips) == len(set(clips))


@pytest.mark.parametrize("many", [False, True])
def test_names_are_escaped_everywhere(many, make_results, hostile):
    models = (hostile, "b") if many else (hostile,)
    results = make_results(models, (f"d{hostile}",), title=hostile, notes=[hostile])
    results.settings |= {hostile: hostile}
    results.environment |= {hostile: [hostile]}
    results.timings |= {hostile: 1.0}
    results.gaps = [{"model": "b", "reason": hostile}]
    results.datasets[0] |= {"skipped": [hostile], "query_names": [hostile] * 12}
    sheet = make_sheet(hostile)
    outline = Outline(html.page(results, [sheet]))
    assert "script" not in outline.tags
    assert any("<script>alert" in text for text in outline.text)


def test_pictures_beyond_the_limit_are_left_out_and_said_to(results):
    large = make_sheet(uri=PIXEL + "A" * 200_000, rows=2)
    page = html.page(results, [large] * 5)
    assert len(page.encode()) < html.PAGE_LIMIT
    assert "more picture sheets are left out" in page


def test_results_without_figures_still_make_a_page(results):
    results.figures = []
    assert "There are no figures" in html.page(results, [make_sheet()])


def test_comparison_is_told_in_words(make_results):
    results = make_results(("one", "two"))
    facts = {"model_a": "one", "model_b": "two", "dataset": "demo", "dim": 32, "ranking": "G"}
    facts |= {"protocol": "medium", "difference": -0.03, "low": -0.05, "high": -0.01}
    results.comparisons = [facts | {"confidence": 0.95, "queries": 12}]
    words = " ".join(" ".join(Outline(html.page(results)).text).split())
    assert f"{MINUS}3.00 points mAP" in words
    assert f"95 % interval from {MINUS}5.00 to {MINUS}1.00" in words
    assert "one is better beyond chance" in words
