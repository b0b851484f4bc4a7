"""From a folder of weights to a signed bundle, checked by the loader before it stands anywhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from doyen_evaluation.release import language
from doyen_evaluation.release.versions import check_version
from doyen_runtime import adapters, signing, verticals
from doyen_schemas import AdapterRelease, DoyenError, Probe

VERTICAL_PROBE = "vertical"


def build(
    folder: Path,
    release: AdapterRelease,
    target: Path,
    *,
    previous: AdapterRelease | None,
    signed: bool = True,
) -> AdapterRelease:
    """Probe and sign ``release`` (from :func:`spec.assemble`) of ``folder`` and put the bundle at ``target``.

    ``target`` appears in one rename; where it is ``folder`` itself, only ``release.json`` is replaced, last of all.

    Raises EVA-022 (version), EVA-023 (``target`` exists), EVA-027 (the adapter does nothing), RUN-043 (no key) and
    what :func:`doyen_runtime.adapters.load` raises, since a bundle that does not load here is not released.
    """
    in_place = target == folder
    if not in_place and target.exists():
        raise DoyenError(
            "EVA-023", f"{target} exists: a release is never changed.", "Release under the next version."
        )
    if previous is not None:
        check_version(previous, release)
    if signed:
        release = release.model_copy(update={"key_id": signing.key_id(signing.private_key().public_key())})
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".release-") as scratch:
        staged = Path(scratch) / "bundle"
        shutil.copytree(folder, staged, ignore=shutil.ignore_patterns(adapters.RELEASE), symlinks=True)
        # Signed once without probes, since the vertical's own loader must accept the bundle to probe it.
        write(staged, release)
        adapters.load(staged, vertical=release.vertical)
        release = write(staged, release.model_copy(update={"probes": probes(staged, release)}))
        adapters.load(staged, vertical=release.vertical)
        staged.chmod(0o755)
        if in_place:
            os.replace(staged / adapters.RELEASE, folder / adapters.RELEASE)
        else:
            staged.rename(target)
    return release


def write(folder: Path, release: AdapterRelease) -> AdapterRelease:
    """Sign ``release`` if it names a key, and write ``release.json``."""
    if release.key_id:
        signature = signing.sign(adapters.canonical(release), signing.private_key())
        release = release.model_copy(update={"signature": signature})
    with (folder / adapters.RELEASE).open("w", encoding="utf-8") as stream:
        stream.write(adapters.render(release))
        stream.flush()
        os.fsync(stream.fileno())
    return release


def probes(bundle: Path, release: AdapterRelease) -> dict[str, Probe]:
    """What the weights answer now: logits of each language model's adapter, and the vertical's own probe."""
    found = {
        part: language.probe(base, bundle) for part, base in release.bases.items() if base.language_model
    }
    own = vertical_probe(bundle, release.vertical)
    return found | ({VERTICAL_PROBE: Probe(values=own)} if own is not None else {})


def vertical_probe(bundle: Path, vertical: str) -> dict[str, float] | None:
    """The numbers of the vertical's own probe; None when it has none or is not installed."""
    if vertical not in verticals.installed():
        return None
    ask = verticals.load(vertical).probe
    return None if ask is None else {name: round(float(value), 6) for name, value in ask(bundle).items()}
