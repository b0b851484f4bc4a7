"""``doyen medical knowledge``: what the ranking rests on, and the user's own additions to it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from doyen_schemas import DoyenError

app = typer.Typer(
    no_args_is_help=True, help="The knowledge in use: show, build maps, update the HPO release."
)


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Release, digest, sizes, and the code systems that were not built."""
    from doyen_medical.knowledge import own_patients
    from doyen_medical.knowledge.store import load, user_folder

    knowledge = load()
    facts = {
        "version": knowledge.version,
        "terms": len(knowledge.ontology.ids),
        "diseases": len(knowledge.annotations.diseases),
        "annotations": len(knowledge.annotations.term_R),
        "genes": len({gene for genes in knowledge.genes.values() for gene in genes}),
        "chinese_labels": len(knowledge.maps.labels_zh),
        "own_patients": len(own_patients.load(user_folder(), knowledge.ontology)),
        "absent_code_systems": list(knowledge.maps.absent),
        "folder": str(user_folder()),
    }
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:20} {value}")


@app.command()
def build(
    mondo: Annotated[Path | None, typer.Option(help="Folder of MONDO's SSSOM mappings.")] = None,
    orpha_map: Annotated[
        Path | None, typer.Option(help="JSON: ORPHA code to [OMIM code, E|NTBT|BTNT] pairs.")
    ] = None,
    labels_zh: Annotated[Path | None, typer.Option(help="JSON lines with the Chinese HPO labels.")] = None,
    names_zh: Annotated[
        list[Path] | None, typer.Option(help="JSON with Chinese disease names; may be given more than once.")
    ] = None,
    medquad: Annotated[
        Path | None, typer.Option(help="MedQuAD as JSON lines, or its folder: quoted as evidence.")
    ] = None,
    phenopackets: Annotated[
        Path | None,
        typer.Option(
            help="Your own solved cases: a folder or zip of phenopackets; the ranking learns from them."
        ),
    ] = None,
    forget_phenopackets: Annotated[
        bool, typer.Option("--forget-phenopackets", help="Remove your own cases again.")
    ] = False,
) -> None:
    """Build code mappings, Chinese labels and your own cases into your knowledge folder. Files may be gzipped.

    What is not given is absent from reports. A new build replaces the maps of the one before; MedQuAD and your own
    cases stay until they are given again. Of a case only findings, sex, age and diagnosis are kept.

    Example:

        doyen medical knowledge build --mondo mondo-mappings --orpha-map orpha2omim.json.gz --labels-zh labels.jsonl.gz
    """
    from doyen_medical.knowledge.maps import build_maps, save_maps
    from doyen_medical.knowledge.store import user_folder

    no_maps = mondo is None and orpha_map is None and labels_zh is None and not names_zh
    if no_maps and medquad is None and phenopackets is None and not forget_phenopackets:
        raise DoyenError(
            "MED-022",
            "nothing to build was named.",
            "Give --mondo, --orpha-map, --labels-zh, --names-zh, --medquad or --phenopackets.",
        )
    if forget_phenopackets:
        from doyen_medical.knowledge import own_patients

        own_patients.remove(user_folder())
        typer.echo("your own cases are forgotten")
    if phenopackets is not None:
        from doyen_medical.knowledge import own_patients
        from doyen_medical.knowledge.store import load_published

        kept, left_out = own_patients.build(phenopackets, load_published().ontology, user_folder())
        typer.echo(f"{kept} cases of your own in {user_folder()}")
        for reason, count in left_out.most_common():
            typer.echo(f"left out: {count} {reason}")
    if medquad is not None:
        from doyen_medical.evidence.medquad import build as build_medquad

        typer.echo(f"{build_medquad(medquad, user_folder())} MedQuAD answers in {user_folder()}")
    if no_maps:
        return
    maps = build_maps(mondo=mondo, orpha_map=orpha_map, labels_zh=labels_zh, names_zh=names_zh or ())
    save_maps(maps, user_folder())
    typer.echo(
        f"{len(maps.mondo)} MONDO diseases ({', '.join(maps.systems) or 'no system'}), {len(maps.orpha_omim)} ORPHA"
        f" codes, {len(maps.labels_zh)} Chinese labels, {len(maps.names_zh)} Chinese names in {user_folder()}"
    )


@app.command()
def update(
    release: Annotated[Path | None, typer.Option(help="Folder of an HPO release.")] = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Go back to the release of the package.")
    ] = False,
) -> None:
    """Use another HPO release: a folder with hp.obo, phenotype.hpoa and genes_to_phenotype.txt.

    It is read and checked before the one in use is replaced.
    """
    from doyen_medical.knowledge.maps import load_maps
    from doyen_medical.knowledge.store import FILES, read, user_folder

    own = user_folder() / "hpo"
    if shipped == (release is not None):
        raise DoyenError("MED-022", "give a release's folder, or --shipped.", "One of the two.")
    if release is None:
        shutil.rmtree(own, ignore_errors=True)
        typer.echo("the release of the package is in use")
        return
    missing = [name for name in FILES if not (release / name).is_file()]
    if missing:
        raise DoyenError(
            "MED-022", f"{release} has no {', '.join(missing)}.", "Download the release's files."
        )
    knowledge = read(release, load_maps(user_folder()))
    own.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        part = own / f"{name}.part"
        shutil.copyfile(release / name, part)
        part.replace(own / name)
    typer.echo(f"in use: {knowledge.version}")
