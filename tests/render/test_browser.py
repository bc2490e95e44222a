"""The page as a browser shows it, on a phone and a screen, in light and dark, and in print.

Needs a Chromium on the PATH: `apt-get install chromium-headless-shell`, or anybody's Chrome.
"""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from onnxunlearn.render import Picture, Relevance, Sample, html

from .reports import HOSTILE, report
from .test_html import SECTIONS

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"needs one on the PATH of {', '.join(_NAMES)}")
PHONE, SCREEN = 360, 1280
SIZES = [(PHONE, "light"), (PHONE, "dark"), (SCREEN, "light"), (SCREEN, "dark")]
#: elements that are wider inside than they are; bars clip the ends of their bounds, and drawings have none
TOO_WIDE = """() => [...document.querySelectorAll("body *:not([aria-hidden], svg *)")]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 2)
  .filter(e => getComputedStyle(e).display != "inline")
  .map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`)"""


def pictures() -> Relevance:
    buffer = io.BytesIO()
    Image.new("RGBA", (28, 28), (200, 30, 45, 90)).save(buffer, "png")
    shown = [
        Picture(buffer.getvalue(), title, f"what {title} is") for title in ("input", "original", "edited")
    ]
    return Relevance([Sample(shown, "original: class 3; edited: class 5")] * 4, "What is seen.")


PAGES: dict[str, tuple[dict[str, Any], bool]] = {
    "reference": ({"reference": True}, True),
    "hostile": ({"names": HOSTILE, "forget": (0, 3, 4, 5)}, False),
    "tags": ({"tags": True}, False),
    "thousand": ({"classes": 1000, "each": 2, "attacked": False}, False),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # a sandbox needs rights that containers lack; the page is our own
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, (options, drawn) in PAGES.items():
        page = html(report(**options), pictures()) if drawn else html(report(**options))
        (folder / f"{name}.html").write_bytes(page)
    return {name: folder / f"{name}.html" for name in PAGES}


def opened(browser: Any, file: Path, width: int, scheme: str, **options: Any) -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    page = context.new_page()
    page.goto(file.as_uri())
    return page


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), SIZES, ids=[f"{w}-{s}" for w, s in SIZES])
def test_it_is_seen_whole_and_by_everyone(
    browser: Any, files: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    # past its own rules, by which no script may run: that of the test must
    page = opened(browser, files[name], width, scheme, bypass_csp=True)
    for section in SECTIONS:
        assert page.locator(f"#{section}").is_visible(), section
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE) == []
    checked = axe.Axe().run(page).response
    assert {"color-contrast", "heading-order"} <= {rule["id"] for rule in checked["passes"]}
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in checked["violations"]] == []
    page.context.close()


@pytest.mark.slow
def test_its_own_rules_let_it_be_what_it_is(browser: Any, files: dict[str, Path]) -> None:
    """Nothing is asked of anyone, and neither styles nor pictures are refused."""
    context = browser.new_context(viewport={"width": SCREEN, "height": 900}, color_scheme="dark")
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto(files["reference"].as_uri())
    assert said == []
    assert asked.count("file") == 1
    assert set(asked) <= {"file", "data"}
    assert page.evaluate("[...document.images].map(i => i.naturalWidth)") == [28] * 12
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_it_prints(browser: Any, files: dict[str, Path], name: str) -> None:
    page = opened(browser, files[name], SCREEN, "dark")
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF-")
    assert 3 <= printed.count(b"/Type /Page\n") <= 30
    page.context.close()
