"""``doyen release``: build, verify, promote, roll back and list adapter releases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime.commands.output import print_json, print_table
from doyen_schemas import DoyenError

app = typer.Typer(no_args_is_help=True, help="Build, verify, promote and roll back adapter releases.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Store = Annotated[Path | None, typer.Option(help="The folder of releases; by default DOYEN_RELEASES.")]
Forgetting = Annotated[
    float, typer.Option(min=0, help="Percent by which perplexity on the general text may rise.")
]
Name = Annotated[str, typer.Argument(help="The adapter's name.")]


@app.command()
def key(
    out: Annotated[Path, typer.Argument(help="Where to write the private key (PEM, mode 600).")],
    public: Annotated[Path, typer.Argument(help="Where to write the public key (PEM).")],
    json: Json = False,
) -> None:
    """Make an Ed25519 key pair. Keep the private key out of every repository.

    Example: doyen release key ~/doyen-signing-key.pem trusted/me.pem
    """
    from doyen_runtime import signing

    private_pem, public_pem = signing.generate()
    _create(out, private_pem, 0o600)
    _create(public, public_pem, 0o644)
    identity = signing.pem_id(public_pem)
    if json:
        print_json({"key_id": identity, "private": str(out), "public": str(public)})
    else:
        typer.echo(f"key {identity}: private {out}, public {public}")


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="The folder of weights.", exists=True, file_okay=False)],
    spec: Annotated[Path, typer.Option(help="What the release is made of (TOML).")],
    store: Store = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write release.json into the folder itself.")
    ] = False,
    adapter_version: Annotated[
        str | None, typer.Option("--version", help="Instead of the spec's version.")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(help="The release before this one; by default the store's latest.")
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing was published before: no rule for the version.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="For development; loads below DOYEN_UNSIGNED_ADAPTERS alone.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a signed bundle: release.json with every digest, figure and reference answer, beside the weights.

    The private key is read from DOYEN_SIGNING_KEY (PEM, or the seed in base64).

    Example: DOYEN_SIGNING_KEY="$(cat key.pem)" doyen release build runs/adapter --spec release.toml --store releases
    """
    from doyen_evaluation.release import store as releases
    from doyen_evaluation.release.build import build as make
    from doyen_evaluation.release.spec import assemble, read_spec
    from doyen_runtime import adapters

    stated = read_spec(spec)
    if adapter_version is not None:
        stated = stated.model_copy(update={"version": adapter_version})
    release = assemble(folder, stated, spec.parent)
    if in_place:
        target = folder
        before = adapters.read_release(folder) if (folder / adapters.RELEASE).exists() else None
    else:
        root = _store(store)
        target = root / release.name / release.version
        before = releases.latest(root, release.name)
    if previous is not None:
        before = adapters.read_release(previous)
    release = make(folder, release, target, previous=None if first else before, signed=not unsigned)
    if json:
        print_json(_summary(target, release))
    else:
        signer = f"signed with the key {release.key_id}" if release.key_id else "not signed"
        typer.echo(f"{release.name} {release.version} in {target}, {signer}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    vertical: Annotated[str | None, typer.Option(help="Refuse an adapter made for another vertical.")] = None,
    json: Json = False,
) -> None:
    """Check everything: signer, signature, runtime, every file's digest, and the bases that are on this machine.

    Exit status 2 and a code on the first thing that is not right.

    Example: doyen release verify releases/contracts-7b/1.0.0
    """
    from doyen_evaluation.release.bases import check_bases
    from doyen_runtime import adapters

    adapter = adapters.load(folder, vertical=vertical)
    bases = check_bases(adapter)
    if json:
        print_json(_summary(folder, adapter.release) | {"verified": True, "bases": bases})
        return
    release = adapter.release
    signer = (
        f"signed with the trusted key {release.key_id}" if release.key_id else "not signed (allowed here)"
    )
    typer.echo(f"{release.name} {release.version}: {len(release.files)} files as released, {signer}")
    for part, state in bases.items():
        typer.echo(f"  base of {part}: {state}")


@app.command()
def gate(
    folder: Annotated[Path, typer.Argument(help="The folder of a release.")],
    current: Annotated[Path | None, typer.Option(help="The release in use, to compare figures with.")] = None,
    max_forgetting: Forgetting = 10.0,
    json: Json = False,
) -> None:
    """Hold a release to the gate without promoting it; the result is written beside the folder.

    Example: doyen release gate verticals/legal/src/doyen_legal/adapter
    """
    from doyen_evaluation.release import store as releases
    from doyen_evaluation.release.gate import run_gate

    result = run_gate(
        folder,
        before=releases.signed_release(current) if current else None,
        before_folder=current,
        max_forgetting=max_forgetting,
    )
    releases.write_gate(folder, result)
    _show(result, json)
    releases.refuse(result)


@app.command()
def promote(
    name: Name,
    adapter_version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The release to use from now on.")
    ],
    store: Store = None,
    max_forgetting: Forgetting = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run the gate, move nothing.")] = False,
    json: Json = False,
) -> None:
    """Run the gate and, if it passes, make a release the current one of its store.

    Example: doyen release promote contracts-7b 1.1.0 --store releases --json
    """
    from doyen_evaluation.release import store as releases

    result = releases.promote(
        _store(store), name, adapter_version, max_forgetting=max_forgetting, dry_run=dry_run
    )
    _show(result, json)
    if dry_run:
        releases.refuse(result)


@app.command()
def rollback(
    name: Name,
    to: Annotated[str | None, typer.Option(help="An earlier version; by default the one before.")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Make the release that was promoted before the current one again.

    Example: doyen release rollback contracts-7b --store releases
    """
    from doyen_evaluation.release import store as releases

    before, after = releases.rollback(_store(store), name, to)
    if json:
        print_json({"name": name, "from": before.version, "to": after.version, "digest": after.digest})
    else:
        typer.echo(f"{name}: {before.version} → {after.version}")


@app.command("list")
def list_command(store: Store = None, json: Json = False) -> None:
    """List the releases of a store with their state.

    Example: doyen release list --store releases
    """
    from doyen_evaluation.release import store as releases

    rows = releases.rows(_store(store))
    if json:
        print_json({"releases": rows})
        return
    print_table(
        ["name", "version", "state", "gate", "key", "digest"],
        [
            [row["name"], row["version"], (row.get("problem", "") and f"broken {row['problem']}") or row["state"],
             row["gate"], row.get("key_id", ""), row.get("digest", "")[:12]]
            for row in rows
        ],
    )  # fmt: skip


def _store(store: Path | None) -> Path:
    from doyen_runtime.settings import get_settings

    found = store or get_settings().releases
    if found is None:
        raise DoyenError("EVA-024", "no store is named.", "Give --store FOLDER or set DOYEN_RELEASES.")
    return found


def _summary(folder: Path, release: Any) -> dict[str, Any]:
    from doyen_runtime import adapters

    return {
        "name": release.name, "version": release.version, "vertical": release.vertical, "folder": str(folder),
        "digest": adapters.release_digest(release), "key_id": release.key_id, "files": len(release.files),
        "bytes": sum(file.bytes for file in release.files.values()), "probes": sorted(release.probes),
    }  # fmt: skip


def _show(result: Any, json: bool) -> None:
    if json:
        print_json(result.model_dump(mode="json"))
        return
    typer.echo(f"{result.name} {result.candidate.version}: {'passed' if result.passed else 'refused'}")
    for check in result.checks:
        typer.echo(f"  {check.verdict:15} {check.name}: {check.reason}")


def _create(path: Path, content: bytes, mode: int) -> None:
    """A new file with ``mode`` from its first byte on; never over another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise DoyenError(
            "EVA-023", f"{path} exists: a key is never overwritten.", "Name another file."
        ) from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
