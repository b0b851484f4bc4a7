from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from legal_report_fixtures import finding, plain, report_of, saas_report, sample

from doyen_legal.report.as_html import as_html
from doyen_legal.report.highlights import Range, lay_out
from doyen_schemas import Document, Evidence, Stage, Value

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Colour = tuple[int, int, int]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>{{7*7}}\" onclick=\"x"


class Page(HTMLParser):
    """Tags with attributes, and the text of the contract's sheet."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = 0
        self.text = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.inside = int(dict(attrs).get("id") == "text")

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self.inside = 0
        if tag == "p" and self.inside:
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def saas() -> tuple[Document, bytes]:
    document = sample("saas-agreement.pdf")[1]
    return document, as_html(saas_report(document), document)


def test_page_holds_the_whole_contract_and_every_finding(saas: tuple[Document, bytes]) -> None:
    page = Page(saas[1])
    assert squeezed(page.text) == squeezed(saas[0].text)
    cards = page.named("article")
    assert [card["data-id"] for card in cards] == [f.id for f in saas_report(saas[0]).findings]
    marks = {mark["id"] for mark in page.named("mark")}
    for card in cards:
        for part in (card["data-segments"] or "").split():
            first, last = map(int, part.split("-"))
            assert {f"s{number}" for number in range(first, last + 1)} <= marks
    pages = [tag["data-page"] for tag in page.named("span") if "data-page" in tag]
    assert pages == [str(number) for number in range(1, 10)]


def test_page_needs_no_network_and_runs_only_its_own_script(saas: tuple[Document, bytes]) -> None:
    html = saas[1].decode()
    page = Page(saas[1])
    policy = next(
        m["content"] or "" for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for _, attributes in page.tags:
        assert not {"src", "style", "srcset"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import|//cdn", html)


def test_page_says_what_a_lawyer_must_know(saas: tuple[Document, bytes]) -> None:
    html = saas[1].decode()
    for text in (
        "It is not a probability", "llm: absent", "the base model is not installed", "Decision support: a qualified person decides.",
        "SaaS agreement · reviewed for the customer", "playbook saas 1.0", "2026-12-11", "§ 13.3", "page 5", "score 0.91",
        "<del>Provider</del><ins>Either Party</ins>", "Fallback text",
    ):  # fmt: skip
        assert text in html, text


def test_hostile_text_stays_text() -> None:
    text = f"1. {HOSTILE}\n\nRTL \u202eevil\u202c and \x00\x07 and 😀 end"
    document = plain(text, name=HOSTILE)
    hostile = finding(
        document, HOSTILE, id=HOSTILE, label=HOSTILE, message=HOSTILE, rule=HOSTILE, source=HOSTILE, status="reject",
        value=Value(kind="text", text=HOSTILE), details={"preferred": HOSTILE, "fallback": HOSTILE, HOSTILE: HOSTILE[:20]},
    )  # fmt: skip
    report = report_of(
        document, [hostile], contract_type=HOSTILE, side=HOSTILE, versions={HOSTILE: HOSTILE},
        stages=[Stage(name=HOSTILE, state="skipped", reason=HOSTILE)], disclaimer=HOSTILE,
    )  # fmt: skip
    content = as_html(report, document)
    page = Page(content)
    assert len(page.named("script")) == 1
    assert page.named("img") == []
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.text
    assert "49" not in page.text
    assert "\u202e" not in content.decode()
    assert "␀␇" in page.text


def test_overlapping_ranges_become_plain_segments() -> None:
    document = plain("aaa bbb ccc ddd")
    ranges = [
        Range(0, 7, 0, "info"),
        Range(4, 11, 1, "reject"),
        Range(4, 7, 2, "rel"),
        Range(15, 15, 3, "ok"),
    ]
    laid = lay_out(document, ranges)
    pieces = [(p.text, p.css, p.findings) for p in laid.blocks[0].pieces]
    assert pieces == [
        ("aaa ", "s-info", "0"), ("bbb", "s-reject many", "0 1"), (" ccc", "s-reject", "1"), (" ddd", "", ""),
    ]  # fmt: skip
    assert laid.segments == [(0, 1), (1, 2), (1, 1), None]


def test_highlights_over_several_paragraphs_and_pages() -> None:
    document = sample("supply-agreement.pdf")[1]
    start, end = document.text.index("Improvements to general"), document.text.index("9.1")
    laid = lay_out(document, [Range(start, end, 0, "risk"), Range(0, len(document.text), 1, "info")])
    text = "".join(p.text for block in laid.blocks for p in block.pieces)
    assert squeezed(text) == squeezed(document.text.replace("\n", ""))
    first, last = laid.segments[0] or (0, 0)
    covered = [
        p.text for b in laid.blocks for p in b.pieces if p.segment is not None and first <= p.segment <= last
    ]
    assert squeezed("".join(covered)) == squeezed(document.text[start:end].replace("\n", ""))


def test_a_hundred_pages_stay_small() -> None:
    text = "\n\n".join(
        f"{n}. Clause. " + "The Supplier shall deliver the Products on time. " * 12 for n in range(520)
    )
    document = plain(text)
    findings = [finding(document, f"{n}. Clause. The Supplier shall deliver", id=f"f{n}", status="risk") for n in range(0, 520, 3)]  # fmt: skip
    assert len(text) > 300_000
    assert len(as_html(report_of(document, findings), document)) < 3_000_000


def shoot(page: Path, out: Path, width: int, height: int, *, dark: bool = False) -> Counter[Colour]:
    """A screenshot by headless Chromium without network services, as the number of pixels by colour."""
    from PIL import Image

    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={out.parent / out.stem}", "--hide-scrollbars",
        f"--window-size={width},{height}", f"--screenshot={out}", *(["--force-dark-mode"] if dark else []), page.as_uri() + "#f4",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(out) as image:
        assert image.size == (width, height)
        return Counter({colour: n for n, colour in image.convert("RGB").getcolors(width * height)})


def share(pixels: Counter[Colour], colour: Colour) -> float:
    return pixels[colour] / pixels.total()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to render the review page with")
def test_page_renders_with_highlights(saas: tuple[Document, bytes], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_bytes(saas[1])
    light = shoot(page, tmp_path / "light.png", 1400, 900)
    assert share(light, (255, 255, 255)) > 0.2  # the sheet and the cards
    assert share(light, (0xFB, 0xD9, 0xD5)) > 0.003  # the rejected clause, which #f4 scrolls to
    assert share(light, (0xE4, 0xDB, 0xFA)) > 0.002  # the term that needs review, above it
    assert share(light, (0x1F, 0x6F, 0xEB)) > 0.0005  # the selection: its script ran
    dark = shoot(page, tmp_path / "dark.png", 900, 900, dark=True)
    assert share(dark, (0x11, 0x15, 0x1B)) + share(dark, (0x17, 0x1C, 0x24)) > 0.3
    assert share(dark, (0x5D, 0x25, 0x22)) > 0.003


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH to render the review page with")
def test_hostile_page_renders_without_running_it(tmp_path: Path) -> None:
    document = plain(f"Clause. {HOSTILE} end.", name=HOSTILE)
    found = finding(document, HOSTILE, status="reject", label=HOSTILE)
    found.evidence.append(Evidence.of(document, 0, 6))
    page = tmp_path / "hostile.html"
    page.write_bytes(as_html(report_of(document, [found]), document))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode()
    assert "scripted" in dom  # the page's own script ran
    assert "<title>owned" not in dom
