from __future__ import annotations

from pathlib import Path

import pytest

from doyen_finance.evaluate.icdar2013 import (
    GridCell,
    evaluate_file,
    find_references,
    normal,
    read_reference,
    relations,
)
from doyen_schemas import DoyenError

REGIONS = """<?xml version="1.0" encoding="UTF-8"?>
<document filename='hand-001.pdf'>
  <table id='1'>
    <region id='1' page='2'><bounding-box x1='72' y1='600' x2='400' y2='700'/></region>
  </table>
</document>
"""
STRUCTURE = """<?xml version="1.0" encoding="UTF-8"?>
<document filename='hand-001.pdf'>
  <table id='1'>
    <region id='1' page='2' col-increment='0' row-increment='0'>
      <bounding-box x1='72' y1='600' x2='400' y2='700'/>
      <cell id='1' start-row='0' start-col='1' end-col='2'>
        <bounding-box x1='200' y1='690' x2='300' y2='700'/><content>Year ended</content>
      </cell>
      <cell id='2' start-row='1' start-col='1'><content>2009</content></cell>
      <cell id='3' start-row='1' start-col='2'><content>2010</content></cell>
      <cell id='4' start-row='2' start-col='0'><content>Net sales</content></cell>
      <cell id='5' start-row='2' start-col='1'><content>1,234</content></cell>
      <cell id='6' start-row='2' start-col='2'><content>1,567</content></cell>
      <cell id='7' start-row='3' start-col='0'><content>Costs</content></cell>
      <cell id='8' start-row='3' start-col='1'><content></content></cell>
      <cell id='9' start-row='3' start-col='2'><content>(980)</content></cell>
    </region>
  </table>
</document>
"""


def write_pair(folder: Path, drawn: bool) -> Path:
    """The hand-written pair and its PDF: the table on page 2, prose on page 1."""
    from reportlab.pdfgen.canvas import Canvas

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hand-001-reg.xml").write_text(REGIONS, encoding="utf-8")
    (folder / "hand-001-str.xml").write_text(STRUCTURE, encoding="utf-8")
    canvas = Canvas(str(folder / "hand-001.pdf"), pagesize=(612, 792))
    canvas.setFont("Helvetica", 10)
    canvas.drawString(72, 700, "Nothing but text stands on this page.")
    canvas.showPage()
    canvas.setFont("Helvetica", 10)
    canvas.drawCentredString(270, 700, "Year ended")
    for y, row in (
        (686, ("", "2009", "2010")),
        (672, ("Net sales", "1,234", "1,567")),
        (658, ("Costs", "", "(980)")),
    ):
        canvas.drawString(72, y, row[0])
        canvas.drawRightString(250, y, row[1])
        canvas.drawRightString(320, y, row[2])
    if drawn:
        for y in (710, 696, 682, 668, 654):
            canvas.line(70, y, 325, y)
        for x in (70, 190, 325):
            canvas.line(x, 654, x, 710)
        canvas.line(255, 654, 255, 696)
    canvas.save()
    return folder


def test_golden_pair_gives_the_pairs_counted_by_hand(tmp_path: Path) -> None:
    write_pair(tmp_path, drawn=False)

    (reference,), _ = find_references(tmp_path)

    assert reference.pages == (2,)
    assert sorted(relations(reference.tables[0])) == sorted(
        [
            ("yearended", "2009", "below"), ("yearended", "2010", "below"), ("2009", "2010", "right"),
            ("2009", "1234", "below"), ("2010", "1567", "below"), ("netsales", "1234", "right"),
            ("1234", "1567", "right"), ("netsales", "costs", "below"), ("1567", "980", "below"),
            ("costs", "980", "right"),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("drawn", [True, False])
def test_evaluation_of_the_golden_pair_is_perfect_and_the_floor_is_beside(
    tmp_path: Path, drawn: bool
) -> None:
    result = evaluate_file(write_pair(tmp_path / "deep" / "er", drawn).parent, None)

    assert (result["precision"], result["recall"], result["f1"]) == (1.0, 1.0, 1.0)
    assert result["n"] == result["tables"] == 1
    # pdfplumber gives no spans: the head lies over its first column alone.
    assert result["floor_recall"] == (0.9 if drawn else 0.0)
    assert result["ci95"]["f1"] == [1.0, 1.0]
    assert result["failed"] == []


def test_a_pdf_that_cannot_be_read_is_named_and_costs_its_pairs(tmp_path: Path) -> None:
    write_pair(tmp_path, drawn=False)
    (tmp_path / "hand-001.pdf").write_bytes(b"%PDF-1.4 cut short")

    result = evaluate_file(tmp_path)

    assert result["failed"] == ["hand-001.pdf: DOC-008"]
    assert result["recall"] == 0.0


def test_one_damaged_document_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, drawn=False)
    for name, structure in (("._hand-001", "resource fork"), ("other", "not xml")):
        (tmp_path / f"{name}.pdf").write_bytes(b"")
        (tmp_path / f"{name}-str.xml").write_text(structure)

    def fail(*_: object) -> list[object]:
        raise IndexError("a fault of the finder")

    monkeypatch.setattr("doyen_finance.evaluate.icdar2013.tables_of_pdf", fail)
    result = evaluate_file(tmp_path)

    assert (result["n"], result["recall"]) == (1, 0.0)
    assert result["failed"] == ["other-str.xml: FIN-031", "hand-001.pdf: IndexError"]


def test_regions_with_an_offset_are_one_table_and_without_one_two(tmp_path: Path) -> None:
    write_pair(tmp_path, drawn=False)
    region = "<region id='2' page='3' col-increment='0' row-increment='{}'><cell start-row='0' start-col='0'><content>Tax</content></cell></region></table>"
    structure = tmp_path / "hand-001-str.xml"

    structure.write_text(STRUCTURE.replace("</table>", region.format(4)))
    one = read_reference(tmp_path / "hand-001.pdf", structure, tmp_path / "hand-001-reg.xml")
    structure.write_text(STRUCTURE.replace("</table>", region.format(0)))
    two = read_reference(tmp_path / "hand-001.pdf", structure, tmp_path / "hand-001-reg.xml")

    assert ("costs", "tax", "below") in relations(one.tables[0])
    assert [len(table) for table in two.tables] == [9, 1]
    assert one.pages == two.pages == (2, 3)


def test_neighbours_of_a_spanning_cell_count_once_and_blanks_are_skipped() -> None:
    cells = [
        GridCell(0, 0, 1, 0, "a"), GridCell(0, 1, 0, 1, " "), GridCell(0, 2, 0, 2, "b"), GridCell(1, 2, 1, 2, "-"),
    ]  # fmt: skip

    assert relations(cells) == [("a", "b", "right"), ("a", "_", "right"), ("b", "_", "below")]
    assert normal(" Net  Sales (a)* ") == "netsalesa"


def test_a_folder_without_documents_is_fin_030(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match=r"NAME-str\.xml") as caught:
        evaluate_file(tmp_path)
    assert caught.value.code == "FIN-030"


@pytest.mark.parametrize(
    "damage", ["", "not xml", STRUCTURE.replace("start-row='3'", "start-row='x'"), STRUCTURE.replace("end-col='2'", "end-col='99999'")]
)  # fmt: skip
def test_a_damaged_structure_file_is_fin_031(tmp_path: Path, damage: str) -> None:
    write_pair(tmp_path, drawn=False)
    (tmp_path / "hand-001-str.xml").write_text(damage)

    with pytest.raises(DoyenError) as caught:
        evaluate_file(tmp_path)
    assert caught.value.code == "FIN-031"
