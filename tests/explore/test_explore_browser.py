"""The page in a real headless browser, as a user with a mouse and one with a keyboard meet it.

Screenshots stay in the folder named by JAXRET_SCREENSHOTS, if it is set, to be looked at.
"""

import io
import os
import re
from pathlib import Path

import browser
import pytest
from PIL import Image
from things import VIEWS, view

pytest.importorskip("uvicorn", reason="the extra explore is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=30_000)  # the first search compiles

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium on this machine"),
]
SIZE = {"width": 1280, "height": 860}
FIRST = "#found .hits li:first-child .name"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=browser.CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(chromium, server):
    """A page for each call, in a profile of its own; at the end none may have complained."""
    contexts, complaints = [], []

    def opened(address="/", **options):
        context = chromium.new_context(viewport=SIZE, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.on(
            "request",
            lambda one: one.url.startswith((server.address, "blob:")) or complaints.append(one.url),
        )
        page.goto(server.address + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    refused = "the server responded with a status of 400"  # which tests want
    assert [one for one in complaints if refused not in one] == []


def shot(page, name):
    if folder := os.environ.get("JAXRET_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"explore-{name}.png"))


@pytest.fixture
def results(open_page):
    page = open_page()
    expect(page.locator("#query .hits img").first).to_be_visible()
    return page


def shows_aps(page, values):
    """The list ends up with these APs from top to bottom."""
    expect(page.locator("#queries .ap")).to_have_text([f"{100 * value:.1f}" for value in values])


def shows_differences(page, values):
    signed = [f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}") for value in values]
    expect(page.locator("#queries .difference")).to_have_text(
        [re.sub("^[+\N{MINUS SIGN}]0[.]0$", "0.0", text) for text in signed]
    )


def compare(page):
    """The second encoder against the first."""
    page.select_option("#results [name=a]", label="tiny (random), seed 1")
    page.select_option("#results [name=b]", label="tiny (random), seed 0")
    expect(page.locator("#query .sides.of-2")).to_be_visible()


def test_queries_are_sorted_and_looked_at(results, evaluated):
    [figure] = evaluated[0].select(ranking="G", protocol="medium")
    assert min(figure["ap"]) < max(figure["ap"])
    shows_aps(results, sorted(figure["ap"]))
    expect(results.locator("#summary")).to_contain_text(f"mAP {100 * figure['map']:.1f} %")
    results.select_option("[name=sort]", "best")
    shows_aps(results, sorted(figure["ap"], reverse=True))
    results.select_option("[name=sort]", "order")
    shows_aps(results, figure["ap"])
    expect(results.locator("#query .hits li")).to_have_count(16)
    expect(results.locator("#query .hits li.junk")).to_have_count(1)
    shot(results, "results")


def test_two_encoders_side_by_side_sorted_by_loss(results, evaluated):
    compare(results)
    expect(results.locator("[name=sort]")).to_have_value("loss")
    [a], [b] = (one.select(ranking="G", protocol="medium") for one in evaluated[::-1])
    gains = sorted(p - q for p, q in zip(a["ap"], b["ap"], strict=True))
    assert gains[0] < -0.001 and gains[-1] > 0.001
    shows_differences(results, gains)
    results.select_option("[name=sort]", "gain")
    shows_differences(results, gains[::-1])
    titles = results.locator("#query .sides h3").all_text_contents()
    assert titles == [f"tiny (random), seed {seed}, G" for seed in (1, 0)]
    shot(results, "two-encoders")


def test_a_ranking_against_another_of_the_same_encoder(results):
    results.select_option("#results [name=b]", label="tiny (random), seed 0")
    expect(results.locator("[name=against]")).to_have_value("G+AQE")
    expect(results.locator("#query .sides.of-2")).to_be_visible()


LATE = """() => {
    const real = window.fetch;
    const second = () => new Promise((on) => setTimeout(on, 1000));
    window.fetch = async (address, ...rest) => {
        if (String(address).includes("/api/queries")) await second();
        return real(address, ...rest);
    };
}"""


@pytest.mark.parametrize(("by", "place"), [("mouse", 2), ("keyboard", 0)])
def test_lists_are_read_to_their_end_whatever_is_chosen_meanwhile(results, by, place):
    """A click waits for the new list; a key, which would mean the old one, is not taken."""
    results.select_option("[name=protocol]", "easy")
    expect(results.locator("#query")).to_contain_text("(easy)")
    results.evaluate(LATE)
    results.select_option("[name=protocol]", "hard")
    if by == "mouse":
        results.locator("#queries [role=option]").nth(place).click()
    else:
        results.evaluate("document.activeElement.blur()")
        results.keyboard.press("j")
    expect(results.locator("#query")).to_contain_text("(hard)")
    chosen = results.locator("#queries .name").nth(place).inner_text()
    expect(results.locator("#query-title")).to_have_text(chosen)
    assert "protocol=hard" in results.url


def test_a_link_keeps_the_choice(results, open_page):
    compare(results)
    results.select_option("[name=protocol]", "hard")
    results.locator("#queries [role=option]").nth(2).click()
    name = results.locator("#query-title")
    expect(name).to_have_text(results.locator("#queries .name").nth(2).inner_text())
    again = open_page(results.url[results.url.index("/#") :])
    expect(again.locator("#query-title")).to_have_text(name.inner_text())
    for field in ("a", "b", "ranking", "against", "protocol", "sort"):
        place = f"#results [name={field}]"
        expect(again.locator(place)).to_have_value(results.locator(place).input_value())
    for link in ("search", "results"):
        again.click(f"[data-view={link}]")
    expect(again.locator("#query-title")).to_have_text(name.inner_text())
    expect(again.locator("#results [name=protocol]")).to_have_value("hard")


def test_by_keyboard_alone(results):
    listed = results.locator("#queries .name").all_text_contents()
    title = results.locator("#query-title")
    results.locator("#queries").focus()
    for key, place in (("j", 1), ("ArrowDown", 2), ("k", 1), ("End", 3), ("Home", 0), ("j", 1)):
        results.keyboard.press(key)
        expect(title).to_have_text(listed[place])
    active = results.locator("#queries").get_attribute("aria-activedescendant")
    expect(results.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    results.keyboard.press("Enter")
    expect(results.locator("#query")).to_be_focused()
    results.keyboard.press("Tab")
    hits = results.locator("#query .hits button")
    expect(hits.first).to_be_focused()
    results.keyboard.press("ArrowRight")
    expect(hits.nth(1)).to_be_focused()
    results.keyboard.press("Enter")
    expect(results.locator("#large")).to_be_visible()
    expect(results.locator("#large-folder")).to_contain_text("things")
    results.keyboard.press("Escape")
    expect(results.locator("#large")).to_be_hidden()
    expect(hits.nth(1)).to_be_focused()


def test_everything_has_a_name_and_enough_contrast(results):
    """What a screen reader is told; and the ratio of WCAG 2.2 for text that is not large."""
    for scheme in ("light", "dark"):
        results.emulate_media(color_scheme=scheme)
        compare(results)
        nameless = results.evaluate(
            """() => [...document.querySelectorAll("img, select, button, input, [role]")]
            .filter((one) => one.checkVisibility())
            .filter((one) => !(one.alt || one.ariaLabel || one.labels?.length
                || one.textContent.trim() || one.getAttribute("aria-labelledby")
                || one.role === "status"))
            .map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert nameless == []
        assert results.evaluate(CONTRAST) == []
        shot(results, f"contrast-{scheme}")


# Text whose colour stands out from what lies behind it by less than 4.5 to 1.
CONTRAST = """() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const unread = ":disabled, :disabled *, .unseen, .skip, noscript";
    if (!own || !one.checkVisibility() || one.matches(unread)) continue;
    const [a, b] = [light(channels(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) {
      found.push(`${one.tagName}.${one.className} ${one.textContent.slice(0, 30)} ${ratio}`);
    }
  }
  return found;
}"""


@pytest.fixture
def searching(open_page):
    page = open_page("/#search")
    page.select_option("#search [name=dataset]", label="things")
    expect(page.locator("#index")).to_have_text("The index is there.")
    return page


DROP = """async ([bytes, name, type]) => {
  const file = new File([new Uint8Array(bytes)], name, { type });
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(file);
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.getElementById("drop").dispatchEvent(
      new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  }
}"""


def drop(page, encoded, name="mine.jpg", kind="image/jpeg"):
    page.evaluate(DROP, [list(encoded), name, kind])


def draw(page, left, top, right, bottom):
    """Parts of the picture, from one corner to the other."""
    frame = page.locator("#stage img").bounding_box()
    x, y = (
        [frame[axis] + frame[size] * part for part in parts]
        for axis, size, parts in (("x", "width", (left, right)), ("y", "height", (top, bottom)))
    )
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    page.mouse.move((x[0] + x[1]) / 2, (y[0] + y[1]) / 2)
    page.mouse.move(x[1], y[1])
    page.mouse.up()


def beside():
    """A photograph whose left half shows the cat, its right half the cup."""
    both = Image.new("RGB", (320, 120))
    for place, thing in enumerate(("chelsea", "coffee")):
        both.paste(Image.open(io.BytesIO(view(thing, VIEWS))), (160 * place, 0))
    stream = io.BytesIO()
    both.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_drop_a_photograph_draw_a_box_and_see_what_is_in_it(searching):
    drop(searching, beside())
    expect(searching.locator("#found p")).to_contain_text("by the whole photograph")
    for left, right, thing in ((0.002, 0.498, "chelsea"), (0.502, 0.998, "coffee")):
        draw(searching, left, 0.01, right, 0.99)
        expect(searching.locator("#stage .drawn")).to_be_visible()
        searching.click("#go")
        expect(searching.locator("#found p")).to_contain_text("by the box")
        expect(searching.locator(FIRST)).to_have_text(re.compile(f"^{thing}/"))
        assert float(searching.locator("#found .similarity").first.inner_text()) > 0.9
    edges = [int(searching.locator(f"[name={edge}]").input_value()) for edge in ("x1", "x2")]
    assert edges == pytest.approx([161, 319], abs=2)
    shot(searching, "search")


def test_a_box_by_its_edges_and_another_ranking(searching):
    drop(searching, beside())
    for edge, value in zip(("x1", "y1", "x2", "y2"), (160, 0, 320, 120), strict=True):
        searching.fill(f"[name={edge}]", str(value))
    searching.select_option("#search [name=ranking]", "G+AQE")
    searching.click("#go")
    said = "by the box: tiny (random), seed 0, G+AQE"
    expect(searching.locator("#found p")).to_contain_text(said)
    expect(searching.locator(FIRST)).to_have_text(re.compile("^coffee/"))
    before = searching.locator("#found").inner_text()
    searching.fill("[name=x2]", "999")
    searching.click("#go")
    invalid = "document.querySelector('[name=x2]').form.checkValidity()"
    assert searching.evaluate(invalid) is False
    assert searching.locator("#found").inner_text() == before
    searching.click("#whole")
    searching.click("#go")
    expect(searching.locator("#found p")).to_contain_text("by the whole photograph")


def test_a_bad_upload_is_said_and_the_next_is_taken(searching, open_page):
    drop(searching, b"<html>no photograph</html>", "holiday.jpg")
    expect(searching.get_by_role("alert")).to_have_text(
        "holiday.jpg cannot be used: it is no picture of a known format."
    )
    expect(searching.locator("#asked")).to_be_hidden()
    drop(searching, view("rocket", VIEWS))
    expect(searching.locator(FIRST)).to_have_text(re.compile("^rocket/"))
    expect(searching.get_by_role("alert")).to_be_hidden()


def test_two_users_at_once(open_page):
    pages = [open_page("/#search") for _ in range(2)]
    for page in pages:
        page.select_option("#search [name=dataset]", label="things")
        expect(page.locator("#index")).to_have_text("The index is there.")
    things = ("astronaut", "rocket")
    for page, thing in zip(pages, things, strict=True):
        drop(page, view(thing, VIEWS), f"{thing}.jpg")
    for page, thing in zip(pages, things, strict=True):
        expect(page.locator(FIRST)).to_have_text(re.compile(f"^{thing}/"))


def test_a_path_that_tries_to_leave(results):
    for path in ("/photograph/..%2f..%2fetc/database/0", "/static/..%2fapp.py"):
        assert results.request.get(results.url.split("/#")[0] + path).status == 404


def test_an_index_is_made_from_the_page(open_page):
    page = open_page("/#search")
    page.select_option("#search [name=dataset]", label="holiday")
    page.select_option("#search [name=a]", label="tiny (random), seed 1")
    button = page.get_by_role("button", name="Describe 6 photographs")
    expect(page.locator("#go")).to_be_hidden()
    button.click()
    expect(page.locator("#index")).to_have_text("The index is there.")
    drop(page, view("chelsea", VIEWS))
    expect(page.locator(FIRST)).to_have_text(re.compile("^chelsea "))


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("address", ["/", "/#search"])
def test_nothing_is_wider_than_the_page(open_page, width, address):
    page = open_page(address)
    page.set_viewport_size({"width": width, "height": 800})
    if "search" in address:
        page.select_option("#search [name=dataset]", label="things")
        expect(page.locator("#index")).to_have_text("The index is there.")
        drop(page, beside())
    expect(page.locator(".hits img:visible").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"width-{width}-{address.strip('/#') or 'results'}")
