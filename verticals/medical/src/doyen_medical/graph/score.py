"""The graph score at run time: numpy alone, from embeddings stored as half-precision numbers.

Shape legend: F findings, D diseases, H size.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_medical.cases import Patient
from doyen_medical.rank.features import ExtraScore
from doyen_medical.rank.library import Library
from doyen_schemas import DoyenError

NAME: Final = "graph"
"""The score's name in the fuser."""
Halves = NDArray[np.float16]


@dataclass(frozen=True)
class Embeddings:
    """Weighted vectors of findings (F, H) and unit vectors of diseases (D, H), with their ids.

    ``trained`` tells what they were trained with: knowledge, plan and a digest of rows and patients.
    """

    terms: tuple[str, ...]
    diseases: tuple[str, ...]
    term_FH: Halves
    disease_DH: Halves
    trained: str = ""


def score_of(embeddings: Embeddings, library: Library) -> ExtraScore:
    """The score of a patient for every column of the library: a cosine, NaN for diseases without a vector."""
    ontology = library.knowledge.ontology
    term_TH = np.zeros((len(ontology.ids), embeddings.term_FH.shape[1]), np.float32)
    for at, id in enumerate(embeddings.terms):
        term = ontology.number.get(ontology.obsolete.get(id) or id)
        if term is not None:
            term_TH[term] = embeddings.term_FH[at]
    known = [at for at, code in enumerate(embeddings.diseases) if code in library.number]
    columns = np.array([library.number[embeddings.diseases[at]] for at in known], np.int64)
    disease_DH = embeddings.disease_DH[known].astype(np.float32)

    def score(patient: Patient) -> NDArray[Any]:
        found = np.full(len(library.codes), np.nan, np.float32)
        closure = np.unique(library.ancestors[list(patient.terms)].indices)
        pooled = term_TH[closure].sum(0)
        length = float(np.linalg.norm(pooled))
        if length > 0:
            found[columns] = disease_DH @ (pooled / length)
        return found

    return score


def save(embeddings: Embeddings, folder: Path) -> None:
    """Write ``graph.safetensors`` and ``graph.json``."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {"term_FH": embeddings.term_FH, "disease_DH": embeddings.disease_DH}, folder / f"{NAME}.safetensors"
    )
    facts = {"trained": embeddings.trained, "terms": embeddings.terms, "diseases": embeddings.diseases}
    (folder / f"{NAME}.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def load(folder: Path) -> Embeddings:
    """Read what ``save`` wrote. Raises MED-030 when a file is missing or damaged."""
    from safetensors.numpy import load_file

    try:
        facts = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / f"{NAME}.safetensors")
        found = Embeddings(
            tuple(facts["terms"]),
            tuple(facts["diseases"]),
            arrays["term_FH"],
            arrays["disease_DH"],
            facts["trained"],
        )
    except Exception as error:  # safetensors and JSON each have their own
        raise _damaged(f"cannot be read ({type(error).__name__})") from error
    if (len(found.terms), len(found.diseases)) != (len(found.term_FH), len(found.disease_DH)):
        raise _damaged("have more or fewer vectors than ids")
    return found


def _damaged(what: str) -> DoyenError:
    return DoyenError(
        "MED-030", f"the graph embeddings {what}.", "Train them again, or reinstall doyen-medical."
    )
