"""Which gene belongs to which disease (genes_to_phenotype.txt of an HPO release)."""

from __future__ import annotations

from doyen_medical.knowledge.annotations import DATABASES
from doyen_schemas import DoyenError


def parse(text: str) -> dict[str, tuple[str, ...]]:
    """Disease code to gene symbols, sorted. Raises MED-002 when the columns are not those of the file."""
    lines = text.splitlines()
    header = lines[0].split("\t") if lines else []
    if not {"gene_symbol", "disease_id"} <= set(header):
        raise DoyenError(
            "MED-002",
            "the gene file lacks the columns gene_symbol and disease_id.",
            "It must be genes_to_phenotype.txt of a Human Phenotype Ontology release.",
        )
    gene, disease = header.index("gene_symbol"), header.index("disease_id")
    found: dict[str, set[str]] = {}
    for line in lines[1:]:
        cells = line.split("\t")
        if (
            len(cells) == len(header)
            and cells[disease].split(":")[0] in DATABASES
            and cells[gene] not in ("", "-")
        ):
            found.setdefault(cells[disease], set()).add(cells[gene])
    return {code: tuple(sorted(genes)) for code, genes in sorted(found.items())}
