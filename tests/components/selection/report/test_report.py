from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from components.core.decisions import Decision
from components.core.workloads import Shown
from components.selection.gate.gate import assembly, bring, decide
from components.selection.gate.policy import Policy
from components.selection.report import gallery, report

HOSTILE = "<script>alert('x')</script>\"'&"


def shown(_: str) -> Shown:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(buffer, "PNG")
    return Shown(pictures=(buffer.getvalue(),), title="x")


@pytest.fixture
def html(make_evidence, make_pair, ledger) -> str:
    slices = {"s_light": ["sun", HOSTILE] * 500, "s_class": ["x", "y", "x", "y"] * 250}
    evidence = make_evidence(make_pair(2000, 100), make_pair(1000, 40, 20, prefix="t", slices=slices))
    policy = Policy(slices={"min_n": 50}, noise_floor=0.01)
    case = bring(evidence, policy, ledger=ledger)
    decision = decide(case, policy, ledger=ledger)
    return report.render(decision, rows=assembly.rows_for(decision, case), show=shown)


class Page(HTMLParser):
    """Collects tags, their attributes and the ids of sections; complains where tags do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack[-1] != tag and self.stack[-1] in ("option", "li", "p", "td", "tr"):
            self.stack.pop()
        assert self.stack and self.stack.pop() == tag


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    assert page.stack == []
    return page


def test_the_page_is_whole_self_contained_and_says_everything(html: str) -> None:
    page = parsed(html)
    sections = {attributes.get("id") for tag, attributes in page.tags if tag == "section"}
    assert sections == {"reasons", "figures", "checks", "slices", "gallery", "charts", "budget", "digests"}
    sources = [attributes.get("src") or attributes.get("href") for _, attributes in page.tags]
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources if source)
    assert not re.search(r"https?://|url\(|@import", html)
    assert sum(tag == "img" for tag, _ in page.tags) == 60
    assert html.index("REJECT") < html.index('id="reasons"') < html.index('id="gallery"')


def test_hostile_slice_values_are_escaped(html: str) -> None:
    assert "<script>alert" not in html
    assert html.count("<script>") == 1
    cards = [attributes for tag, attributes in parsed(html).tags if "data-slices" in attributes]
    assert any(
        HOSTILE in str(attributes["data-slices"]).replace('\\"', '"').encode().decode("unicode_escape")
        for attributes in cards
    )


def test_equal_input_gives_equal_text_and_no_rows_give_a_page(html: str, make_evidence, make_pair) -> None:
    decision = decide(make_evidence(make_pair(300, 2)), Policy(mode="open"), ledger=None)
    assert report.render(decision) == report.render(Decision.from_json(decision.to_json()))
    assert "gallery" not in {attributes.get("id") for _, attributes in parsed(report.render(decision)).tags}


def test_the_gallery_is_capped_and_says_so(make_evidence, make_pair) -> None:
    evidence, policy = make_evidence(make_pair(3000, 400, 150)), Policy(mode="open")
    case = bring(evidence, policy, ledger=None)
    decision = decide(case, policy, ledger=None)
    rows = assembly.rows_for(decision, case)
    made = gallery.build(decision, rows, lambda name: Shown(pictures=(b"no picture at all",), title=""))
    kinds = [card.kind for card in made.cards]
    assert (kinds.count("broken"), kinds.count("repaired"), made.num_broken) == (
        gallery.MAX_CARDS,
        gallery.MAX_CARDS,
        400,
    )
    assert {card.pictures for card in made.cards} == {()}
    html = report.render(decision, rows=rows)
    assert f"at most {gallery.MAX_CARDS} of each are shown" in html


def test_a_question_about_two_pictures_shows_both_with_its_words_and_truth(make_evidence, make_pair) -> None:
    case = bring(make_evidence(make_pair(400, 8, 4)), Policy(mode="open"), ledger=None)
    decision = decide(case, Policy(mode="open"), ledger=None)
    rows = assembly.rows_for(decision, case)

    def show(sample_id: str) -> Shown:
        return Shown(pictures=shown(sample_id).pictures * 2, title="same", words={"asked": HOSTILE})

    html = report.render(decision, rows=rows, show=show)
    assert sum(tag == "img" for tag, _ in parsed(html).tags) == 24
    assert html.count("</b> same") == 12 and html.count("asked: ") == 12 and "<script>alert" not in html
    assert "<option>same</option>" in html


def test_free_texts_are_no_list_to_choose_from(make_evidence, make_pair, monkeypatch) -> None:
    case = bring(make_evidence(make_pair(400, 8, 4)), Policy(mode="open"), ledger=None)
    decision, titles = decide(case, Policy(mode="open"), ledger=None), iter(range(99))
    monkeypatch.setattr(report, "MAX_TRUTHS", 11)

    def show(_: str) -> Shown:
        return Shown(pictures=(), title=f"text {next(titles)}")

    html = report.render(decision, rows=assembly.rows_for(decision, case), show=show)
    assert 'id="by-truth"' not in html and "text 7" in html and 'id="by-slice"' in html


def test_the_frontier_shows_all_candidates(make_evidence, make_pair) -> None:
    decisions = [
        decide(make_evidence(make_pair(1000, flips, 30)), Policy(mode="open"), ledger=None) for flips in (2, 9)
    ]
    html = report.render(decisions[0], peers=decisions[1:])
    assert html.count("<circle") == 3
    assert "0.90% flips" in html and "champion: 0.00% flips" in html


def test_a_first_model_has_a_report(make_evidence, make_pair, ledger) -> None:
    from components.selection.gate.evidence import Pair

    first = Pair(old=None, new=make_pair(500, 0).new)
    decision = decide(make_evidence(first, champion_digest=None), Policy(), ledger=ledger)
    assert "PROMOTE" in report.render(decision)


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: install the chromium package to see the report tested in a real browser")
    return found


def browse(html: str, folder: Path, width: int) -> str:
    """The page's DOM after its scripts ran, without any network."""
    page = folder / "page.html"
    page.write_text(html.replace(' loading="lazy"', ""))  # so that all pictures are there at the load event
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [browser(), *flags.split(), "--disable-component-update", "--disable-sync"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},900", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


PROBE = """<script>
const pick = document.getElementById("by-slice"), kind = document.getElementById("by-kind");
const visible = () => [...document.querySelectorAll(".card")].filter(card => card.offsetParent !== null).length;
const images = [...document.images];
window.addEventListener("load", () => {
  const told = [visible()];
  pick.value = "s_light = sun"; pick.dispatchEvent(new Event("change")); told.push(visible());
  kind.value = "repaired"; kind.dispatchEvent(new Event("change")); told.push(visible());
  const label = document.getElementById("by-truth");
  pick.value = ""; kind.value = ""; label.value = "x"; label.dispatchEvent(new Event("change")); told.push(visible());
  told.push(images.filter(image => image.naturalWidth > 0).length);
  told.push(document.documentElement.scrollWidth <= window.innerWidth);
  document.title = "probe " + JSON.stringify(told);
});
</script></body>"""


@pytest.mark.parametrize("width", [500, 1200])  # a headless window is never narrower than 500 px
def test_a_browser_shows_pictures_and_filters_cards(html: str, tmp_path: Path, width: int) -> None:
    found = re.search(r"<title>probe (.*?)</title>", browse(html.replace("</body>", PROBE), tmp_path, width))
    assert found is not None
    assert found.group(1) == "[60,30,10,60,60,true]"


def test_a_phone_shows_it_without_scrolling_sideways(html: str, tmp_path: Path) -> None:
    script = """<script>onload = () => {
      const page = document.querySelector("iframe").contentDocument.documentElement;
      document.title = "probe " + JSON.stringify([page.clientWidth, page.scrollWidth]); };</script>"""
    frame = f'<iframe srcdoc="{escape(html)}" style="width:390px;height:800px;border:0"></iframe>'
    found = re.search(r"<title>probe (.*?)</title>", browse(f"<title>x</title>{frame}{script}", tmp_path, 800))
    assert found is not None
    client, scroll = json.loads(found.group(1))
    assert client == scroll <= 390
