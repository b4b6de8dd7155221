"""The site in a browser: `make test-site`, which installs what it takes."""

import functools
import http.server
import os
import re
import shutil
import sys
import threading
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest

from lib.parameters import ROOT

pytestmark = pytest.mark.site
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]  # of containers
REPOSITORY = "someone/spectral-bias"
PHONE, SCREEN = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WIDTHS = "() => [document.documentElement.scrollWidth, document.body.scrollWidth]"
IMAGES = """() => [...document.querySelectorAll("article img")].map((image) => ({
  name: image.currentSrc, alt: image.alt, width: image.naturalWidth,
  shown: image.getBoundingClientRect().width, drawn: image.getBoundingClientRect().height,
  tall: image.naturalHeight}))"""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The site, of the shipped copies and of two under one more profile; its folder html."""
    sys.path.insert(0, str(ROOT / "site"))
    build = pytest.importorskip("build", reason="the packages of group site are not installed")
    out, copies = tmp_path_factory.mktemp("site"), build.copies_of()
    again = {name: copies["digits"][name] for name in ("02_noise_fitting", "03_training_time")}
    os.environ["GITHUB_REPOSITORY"] = REPOSITORY
    try:
        assert build.build(out, copies | {"again": again}) == 0
    finally:
        del os.environ["GITHUB_REPOSITORY"]
        sys.path.remove(str(ROOT / "site"))
    return out / "html"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(built):
    handler = functools.partial(Quiet, directory=built)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not program:
        pytest.skip(f"none of {', '.join(CHROMIUM)} is installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    """An empty tab; `page.wrong` gathers errors, failed answers and requests to elsewhere."""
    tab = browser.new_page(viewport=SCREEN)
    tab.set_default_timeout(120_000)  # ms: of a busy machine
    tab.wrong = []

    def requested(route):
        inside = route.request.url.startswith((address, "data:", "blob:"))
        if not inside:
            tab.wrong.append(f"asked for {route.request.url}")
        (route.continue_ if inside else route.abort)()

    tab.route("**/*", requested)
    tab.on("console", lambda m: m.type in ("error", "warning") and tab.wrong.append(m.text))
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("response", lambda r: r.status >= 400 and tab.wrong.append(f"{r.status} {r.url}"))
    yield tab
    tab.close()


def names(built: Path) -> list[str]:
    """Every page of the site."""
    found = sorted(str(file.relative_to(built)) for file in built.rglob("*.html"))
    return [name for name in found if not name.startswith(("_static/", "files/"))]


def seen(page, url: str) -> None:
    """Go to a page and wait until its formulas are set."""
    page.goto(url, wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.wait_for_load_state("networkidle")


def test_pages_load_and_ask_for_nothing_elsewhere(page, built, address):
    assert len(names(built)) > 25
    wrong = {}
    for name in names(built):
        seen(page, address + name)
        if page.locator("mjx-merror").count():
            page.wrong.append("a formula that cannot be set")
        if told := page.wrong[:]:
            wrong[name] = told
        page.wrong.clear()
    assert wrong == {}


def test_links_lead_somewhere(page, built, address):
    """Those within the site: to a file, and to an element where they name one."""
    links, elements = {}, {}
    for name in names(built):
        page.goto(address + name)
        found = page.eval_on_selector_all("a[href]", "all => all.map((a) => a.href)")
        links[name] = {link for link in found if link.startswith(address)}
        elements[name] = set(page.eval_on_selector_all("[id]", "all => all.map((e) => e.id)"))
    wrong = []
    for name, its in links.items():
        for link in its:
            path, anchor = urldefrag(link.removeprefix(address))
            path = path.partition("?")[0] or "index.html"
            if not (built / path).is_file() or (
                anchor and anchor not in elements.get(path, {anchor})
            ):
                wrong.append(f"{name}: {link}")
    assert sum(map(len, links.values())) > 500
    assert wrong == []


def test_figures_have_a_size_and_words(page, built, address):
    count, wrong = 0, []
    for viewport in (SCREEN, PHONE):
        page.set_viewport_size(viewport)
        for name in names(built):
            seen(page, address + name)
            for image in page.evaluate(IMAGES):
                count += 1
                ratio = image["tall"] * image["shown"] / max(1, image["width"])
                fits = 0 < image["shown"] <= viewport["width"]
                if not fits or abs(ratio - image["drawn"]) > 2 or len(image["alt"]) < 25:
                    wrong.append((name, image))
    assert count > 2 * 68
    assert wrong == []


def test_tabs_switch(page, address):
    """To the same notebook under another profile, at the same heading."""
    seen(page, f"{address}digits/02_noise_fitting.html")
    tabs = page.locator("nav.profiles a")
    assert tabs.all_inner_texts()[0] == "digits"
    assert page.locator("nav.profiles a[aria-current=page]").inner_text() == "digits"
    page.evaluate("() => document.querySelector('#claims').scrollIntoView()")
    tabs.filter(has_text="again").evaluate("tab => tab.click()")
    page.wait_for_url("**/again/02_noise_fitting.html#claims")
    assert page.locator("nav.profiles a[aria-current=page]").inner_text() == "again"
    assert page.wrong == []


@pytest.mark.parametrize("name", ["00_one_dimension", "01_measuring_frequency", "03_training_time"])
def test_sliders_move_the_picture(page, address, name):
    """By keys, as a mouse does: the drawing changes, and what is read aloud."""
    seen(page, f"{address}digits/{name}.html")
    slider = page.locator("input[type=range]")
    assert slider.count() == 1
    drawn = "input => input.closest('div:has(svg)').querySelector('svg').innerHTML"
    states = []
    for key in ("Home", "End"):
        slider.press(key)
        states.append((slider.evaluate(drawn), slider.get_attribute("aria-valuetext")))
    assert states[0][0] != states[1][0]
    assert states[0][1] != states[1][1]
    assert page.wrong == []


def test_notebook_page(page, address):
    """Code is folded and opens; parameters are a table; it links to where it runs."""
    seen(page, f"{address}digits/02_noise_fitting.html")
    folded = page.locator("article details.hide")
    assert folded.count() > 10
    assert page.locator("article details.hide[open]").count() == 0
    assert not page.get_by_text("import seaborn as sns").is_visible()
    folded.first.locator("summary").click()
    assert page.get_by_text("import seaborn as sns").is_visible()
    assert "frequencies" in page.locator("#parameters table").first.inner_text()
    links = page.eval_on_selector_all("div.elsewhere a", "all => all.map((a) => a.href)")
    hosts = {urlsplit(link).hostname for link in links}
    assert {"github.com", "mybinder.org", "colab.research.google.com"} < hosts
    for link in links:
        if link.startswith(address):
            assert page.request.get(link).ok
    assert all("02_noise_fitting" in link for link in links)


def test_front_page(page, address):
    seen(page, f"{address}index.html")
    doors = page.locator("div.three-doors a")
    assert doors.all_inner_texts() == ["For a student", "For a researcher", "For a teacher"]
    assert page.locator("article img").count() == 1
    assert page.locator("#findings table tbody tr").count() == 11
    for door in doors.all():
        assert page.request.get(urljoin(page.url, door.get_attribute("href"))).ok


def test_search_finds_noise_fitting(page, address):
    seen(page, f"{address}index.html")
    page.keyboard.press("Control+k")
    page.locator("input[type=search]:visible").first.fill("noise fitting")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=noise+fitting*")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("all => all.map((a) => a.href)")
    assert any("digits/02_noise_fitting.html" in link for link in found)
    assert page.wrong == []


def test_nothing_scrolls_sideways_on_a_phone(page, built, address):
    page.set_viewport_size(PHONE)
    wide = {}
    for name in names(built):
        seen(page, address + name)
        page.evaluate("() => document.querySelectorAll('details').forEach((d) => (d.open = true))")
        if max(page.evaluate(WIDTHS)) > PHONE["width"]:
            wide[name] = page.evaluate(WIDTHS)
    assert wide == {}


def test_light_and_dark(page, address):
    """The button changes colours, and the next page keeps them."""
    seen(page, f"{address}index.html")
    colour, colours = "() => getComputedStyle(document.body).backgroundColor", {}
    for mode in ("light", "dark"):
        page.locator("button.theme-switch-button:visible").first.click()
        page.locator(f"button.theme-change-button[data-mode={mode}]:visible").first.click()
        seen(page, f"{address}student.html")
        assert page.locator("html").get_attribute("data-theme") == mode
        colours[mode] = [int(part) for part in re.findall(r"\d+", page.evaluate(colour))[:3]]
    assert min(colours["light"]) > 200
    assert max(colours["dark"]) < 60


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(page, built, address, theme):
    """Every rule of axe in the light; in the dark those of contrast, all that a theme changes."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"resultTypes": ["violations"]}
    if theme == "dark":
        options["runOnly"] = {"type": "rule", "values": ["color-contrast"]}
    for key in ("theme", "mode"):
        page.add_init_script(f"localStorage.setItem('{key}', '{theme}')")
    wrong = {}
    for name in names(built):
        seen(page, address + name)
        assert page.locator("html").get_attribute("data-theme") == theme
        for one in axe.run(page, options=options).response["violations"]:
            if one["impact"] in SERIOUS:
                nodes = [(node["html"][:150], node["target"]) for node in one["nodes"][:3]]
                wrong.setdefault(one["id"], (one["help"], name, len(one["nodes"]), nodes))
    assert wrong == {}
