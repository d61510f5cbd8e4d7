"""A headless Chromium for tests: screenshots, PDFs, and what a page measures in it."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=5000", "--allow-file-access-from-files"),
)
# Elements wider than their page, but for those in a box that scrolls; pictures that did not load.
_PROBE = """
const found = {};
for (const frame of document.querySelectorAll("iframe")) {
  const page = frame.contentDocument, width = frame.clientWidth;
  const scrolls = (one) => one.closest(".scroll, .hits");
  found[width] = {
    page_width: page.documentElement.scrollWidth,
    too_wide: [...page.querySelectorAll("body *")]
      .filter((one) => one.getBoundingClientRect().right > width + 1 && !scrolls(one))
      .filter((one) => !one.closest("svg") || one.tagName === "svg")
      .map((one) => one.tagName + "." + one.className + " " + one.textContent.slice(0, 40)),
    broken: [...page.images].filter((one) => !one.naturalWidth).map((one) => one.alt),
    pictures: page.images.length,
    small_text: [...page.querySelectorAll("svg text")]
      .map((one) => one.getBoundingClientRect().height)
      .filter((height) => height > 0 && height < 7).length,
  };
}
document.body.innerHTML = "";
document.body.append("<<" + JSON.stringify(found) + ">>");
"""


def run(*arguments: str) -> str:
    """One run of Chromium with a profile of its own; its standard output."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode()


def screenshot(page: Path, png: Path, width: int, height: int, dark: bool = False) -> None:
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    run(*scheme, f"--window-size={width},{height}", f"--screenshot={png}", page.as_uri())


def print_pdf(page: Path, pdf: Path) -> None:
    run("--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri())


def measure(page: Path, widths: tuple[int, ...]) -> dict[int, dict]:
    """What the page measures in frames of several widths, by width."""
    frames = "".join(
        f'<iframe src="{page.name}" style="border: 0; width: {width}px; height: 800px"></iframe>'
        for width in widths
    )
    probe = page.with_name("probe.html")
    probe.write_text(f"{frames}<script>onload = () => {{{_PROBE}}}</script>")
    shown = run("--window-size=3000,1000", "--dump-dom", probe.as_uri())
    probe.unlink()
    answer = re.search(r"&lt;&lt;(.*)&gt;&gt;", shown, re.DOTALL)
    assert answer, shown[-500:]
    return {int(width): found for width, found in json.loads(answer[1]).items()}
