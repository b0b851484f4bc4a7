"""A small HPO release for the tests."""

from __future__ import annotations

from pathlib import Path

SMALL = r"""format-version: 1.2
data-version: hp/releases/2024-02-03

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
is_a: HP:0000001 ! All

[Term]
id: HP:0000005
name: Mode of inheritance
is_a: HP:0000001 ! All

[Term]
id: HP:0001250
name: Seizure
alt_id: HP:0002279
def: "A \"storm\" of neurons." [PMID:1]
synonym: "Epileptic fit" EXACT layperson []
synonym: "Seizures" RELATED []
is_a: HP:0000118 {source="x"} ! Phenotypic abnormality

[Term]
id: HP:0011097
name: Epileptic spasm
is_a: HP:0001250 ! Seizure

[Term]
id: HP:0000057
name: obsolete Old
is_obsolete: true
replaced_by: HP:0001250

[Term]
id: HP:0000058
name: obsolete Gone
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""


HEADER = (
    "#version: 2024-02-03\n"
    "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\tbiocuration\n"
)


def row(code: str, term: str, reference: str, frequency: str = "", qualifier: str = "", sex: str = "") -> str:
    return f"{code}\tName\t{qualifier}\t{term}\t{reference}\tPCS\t\t{frequency}\t{sex}\t\tP\tHPO:x\n"


def write_release(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hp.obo").write_text(SMALL)
    (folder / "phenotype.hpoa").write_text(HEADER + row("OMIM:1", "HP:0001250", "PMID:1", "1/2"))
    (folder / "genes_to_phenotype.txt").write_text("gene_symbol\tdisease_id\nABC\tOMIM:1\n")
    return folder
