"""The page in a real browser: nothing overflows on a phone, no picture is broken, print works.

Screenshots stay in the folder named by JAXRET_SCREENSHOTS, if it is set, to be looked at.
"""

import os
from pathlib import Path

import browser
import numpy as np
import pytest
from coloured_squares import Photographs, ranks_of

from jaxret.data.dataset import Dataset
from jaxret.report import picture_sheet, write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on this machine"),
]
WIDTHS = (360, 768, 1280)


def make_sheet(results, name):
    database = Photographs(20)
    database.names[0] = f"{name} {'very-long-name-without-a-break' * 5}.jpg"
    database.broken.add(5)
    truth = [{"easy": [0, 1], "hard": [2], "junk": [3]} for _ in range(12)]
    queries = Photographs(12, box=(50, 50, 300, 200))
    dataset = Dataset("demo", "1", database, queries, truth, ("medium",))
    figure = next(results.select(ranking="G", protocol="medium"))
    return picture_sheet(dataset, ranks_of(0, 9, 3), figure, np.ones((12, 20)))


def small(make_results, hostile):
    results = make_results(notes=[hostile, "w" * 300])
    return results, [make_sheet(results, hostile)]


def two_models(make_results, hostile):
    results = make_results(("efficientnet-lite0", hostile))
    results.settings["long"] = "x" * 500
    return results, []


def suite(paper_results):
    paper_results.gaps = [{"model": "simclr4x", "reason": "missing: " + "y" * 200}]
    left_out = {"simclr4x", "simclr2x+simclr4x"}
    paper_results.figures = [f for f in paper_results.figures if f["model"] not in left_out]
    return paper_results, []


@pytest.fixture(params=["small", "two_models", "suite"])
def page(request, tmp_path, make_results, hostile, paper_results):
    made = {
        "small": lambda: small(make_results, hostile),
        "two_models": lambda: two_models(make_results, hostile),
        "suite": lambda: suite(paper_results),
    }
    results, sheets = made[request.param]()
    path = write_report(results, sheets, tmp_path)["report.html"]
    return path.rename(tmp_path / f"{request.param}.html")


def test_page_in_a_browser(page, tmp_path):
    for width, found in browser.measure(page, WIDTHS).items():
        assert found["page_width"] <= width, found
        assert found["too_wide"] == [], width
        assert found["broken"] == [], width
        assert found["small_text"] == 0, width
        assert found["pictures"] > 50 or page.stem != "small"
    if folder := os.environ.get("JAXRET_SCREENSHOTS"):
        keep_screenshots(page, Path(folder))


def keep_screenshots(page, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for width, dark in ((1280, False), (1280, True), (360, False)):
        png = folder / f"{page.stem}-{width}{'-dark' if dark else ''}.png"
        browser.screenshot(page, png, width, 3000, dark)
    browser.print_pdf(page, folder / f"{page.stem}.pdf")


def test_page_prints(results, tmp_path):
    page = write_report(results, [make_sheet(results, "a")], tmp_path)["report.html"]
    browser.print_pdf(page, tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
