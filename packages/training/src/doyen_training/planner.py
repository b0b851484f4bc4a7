"""``doyen plan``: a recipe from the size of the data, the model's configuration and the device, with reasons."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from doyen_data import Record, read_records
from doyen_modeling.base import base_path
from doyen_schemas import DoyenError
from doyen_training.memory import Bytes, Kind, Shape, read_config, shape_of, step_bytes

GB: Final = 1e9
# What a step leaves free: the allocator's slack, the framework, other processes.
HEADROOM: Final = 0.85
SMALL, LARGE = 1_000, 10_000
BATCHES: Final = (32, 16, 8, 4, 2, 1)

Band = Literal["small", "medium", "large"]


@dataclass(frozen=True, slots=True)
class Device:
    """Where the training would run: ``cuda`` or ``cpu``, and the bytes it may use."""

    kind: Literal["cuda", "cpu"]
    memory: int
    narrow: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan follows from. Lengths are tokens; ``measured`` is False where they are estimated from bytes."""

    rows: int
    lengths: tuple[int, ...]
    learned: float
    marked: bool
    measured: bool
    dev: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One key of the recipe: table, key, value, and why."""

    table: str
    key: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Option:
    """A method that was weighed: its bytes at the chosen batch, and whether they fit."""

    method: str
    bytes: Bytes
    fits: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe as choices with reasons, the methods that were weighed, and remarks."""

    choices: tuple[Choice, ...]
    options: tuple[Option, ...]
    remarks: tuple[str, ...]

    def recipe(self) -> dict[str, Any]:
        """The recipe's values."""
        tables: dict[str, Any] = {}
        for choice in self.choices:
            table = tables.setdefault(choice.table, {}) if choice.table else tables
            table[choice.key] = choice.value
        return tables

    def toml(self) -> str:
        """The recipe, each key with its reason behind it. To override a choice, edit its line."""
        lines = [*(f"# {remark}" for remark in self.remarks), "# To override a choice, edit its line."]
        width = max(len(f"{c.key} = {_toml(c.value)}") for c in self.choices if len(_toml(c.value)) < 40)
        table = ""
        for choice in self.choices:
            if choice.table != table:
                table = choice.table
                lines += ["", f"[{table}]"]
            entry = f"{choice.key} = {_toml(choice.value)}"
            lines.append(f"{entry:<{width}}  # {choice.reason}" if choice.reason else entry)
        return "\n".join(lines) + "\n"


def plan(
    data: Path,
    base: str,
    *,
    config: Path | None = None,
    dev: Path | None = None,
    memory: float | None = None,
    device_kind: str | None = None,
    relative_to: Path | None = None,
) -> Plan:
    """Propose a recipe for the records of ``data`` on ``base``.

    ``config`` is the ``config.json`` of a base that is not on this machine; ``memory`` (GB) replaces what the device
    has; paths in the recipe are relative to ``relative_to``. Raises DAT-…, MOD-002 (no such base, no config) and
    TRN-050, TRN-051 (nothing fits), TRN-053 (device).
    """
    records = read_records(data)
    if dev is not None:
        read_records(dev)
    path = config or base_path(base) / "config.json"
    shape = shape_of(read_config(path))
    facts = read_facts(records, None if config else path.parent, dev is not None)
    files = [os.path.relpath(file, relative_to or Path.cwd()) if file else None for file in (data, dev)]
    return propose(facts, shape, device(memory, device_kind), base, str(files[0]), files[1], name=_name(data))


def read_facts(records: Sequence[Record], tokenizer: Path | None, dev: bool) -> Facts:
    """Lengths and the learned share, by the base's tokenizer where it is here, else a token for four bytes."""
    marked = any(message.train is not None for record in records for message in record.messages)
    if tokenizer is None:
        sizes = [(sum(len(m.content.encode()) for m in r.messages), _answer_bytes(r)) for r in records]
        lengths = [total // 4 + 8 * len(r.messages) for (total, _), r in zip(sizes, records, strict=True)]
        learned = sum(answer for _, answer in sizes) / max(1, sum(total for total, _ in sizes))
        return Facts(len(records), tuple(lengths), learned, marked, measured=False, dev=dev)
    from transformers import AutoTokenizer

    from doyen_training.masking import encode

    examples = encode(
        records,
        AutoTokenizer.from_pretrained(tokenizer, local_files_only=True),
        "marked" if marked else "assistant",
    )
    lengths = [len(example.input_ids) for example in examples]
    learned = sum(example.learned for example in examples) / sum(lengths)
    return Facts(len(records), tuple(lengths), learned, marked, measured=True, dev=dev)


def device(memory: float | None = None, kind: str | None = None) -> Device:
    """The device of this machine; ``kind`` (``cpu``, ``cuda``) and ``memory`` (GB) describe another.

    Raises TRN-053 for a kind that is neither, or that is not here without its memory.
    """
    import torch

    from doyen_modeling.encoder import has_bf16_units

    here = "cuda" if torch.cuda.is_available() else "cpu"
    wanted = kind or here
    if wanted not in ("cpu", "cuda") or (wanted == "cuda" != here and memory is None):
        raise DoyenError(
            "TRN-053",
            f"device {wanted!r} must be cpu or cuda, and one that is not on this machine needs its memory.",
            "For example: --device cuda --memory 80.",
        )
    if wanted == "cuda":
        there = here == "cuda"
        free = round(memory * GB) if memory else torch.cuda.mem_get_info()[0]
        narrow = torch.cuda.is_bf16_supported(including_emulation=False) if there else True
        return Device("cuda", free, narrow)
    return Device("cpu", round(memory * GB) if memory else available_memory(), has_bf16_units())


def available_memory() -> int:
    """Bytes that this process may still use: the machine's, or the container's if that is less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = 1024 * int(line.split()[1])
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    found = [*_lines(limit), *_lines(used)]
    if len(found) == 2 and all(value.isdecimal() for value in found):
        free = min(free, int(found[0]) - int(found[1]))
    return free


def band(rows: int) -> Band:
    """Few rows (< 1,000) overfit, many (> 10,000) can move every weight."""
    return "small" if rows < SMALL else "large" if rows > LARGE else "medium"


def propose(
    facts: Facts,
    shape: Shape,
    device: Device,
    base: str,
    train: str,
    dev: str | None = None,
    name: str = "planned",
) -> Plan:
    """The plan for these facts. Raises TRN-051 when no method fits into the device's memory."""
    size = band(facts.rows)
    rank = {"small": 8, "medium": 16, "large": 32}[size]
    effective = {"small": 8, "medium": 16, "large": 32}[size]
    longest = max(facts.lengths)
    max_length = max(16, -(-longest // 64) * 64)
    if shape.positions:
        max_length = min(max_length, shape.positions)
    longer = sum(length > max_length for length in facts.lengths)
    kinds: list[Kind] = ["full", "lora"] if size == "large" else ["lora"]
    if device.kind == "cuda":
        kinds.append("qlora")
    room = HEADROOM * device.memory

    def need(kind: Kind, batch: int, checkpointing: bool) -> Bytes:
        return step_bytes(
            shape, kind, trained=shape.trainable(kind, rank), batch=batch, length=max_length, learned=facts.learned,
            checkpointing=checkpointing, narrow=device.narrow,
        )  # fmt: skip

    found = next(
        (
            (kind, batch, checkpointing)
            for kind in kinds
            for checkpointing in (False, True)
            for batch in BATCHES
            if batch <= effective
            and need(kind, batch, checkpointing).total <= room
            # Recomputing costs a third more time: better a smaller batch, unless nothing is left of it.
            and (checkpointing or batch * 4 >= effective or batch == 1)
        ),
        None,
    )
    if found is None:
        least = min((need(kind, 1, True).total, kind) for kind in kinds)
        raise DoyenError(
            "TRN-051",
            f"no method fits: {least[1]} with one row of {max_length} tokens needs {least[0] / GB:.1f} GB, and "
            f"{HEADROOM:.0%} of {device.memory / GB:.1f} GB are {room / GB:.1f} GB.",
            "Choose a smaller base, shorten the longest records, or plan for another machine with --memory.",
        )
    kind, batch, checkpointing = found
    options = tuple(
        Option(k, need(k, batch, checkpointing), need(k, batch, checkpointing).total <= room)
        for k in ("full", "lora", "qlora")
    )  # fmt: skip
    chosen = need(kind, batch, checkpointing)
    accumulation = effective // batch
    epochs = {"small": 3.0, "medium": 2.0, "large": 1.0}[size]
    steps = max(1, round(epochs * -(-facts.rows // effective)))
    rows = f"{facts.rows:,} rows"
    method_reason = {
        "full": f"{rows} can move every weight, and {chosen.total / GB:.1f} GB fit into {room / GB:.1f} GB",
        "lora": f"{rows}: a low-rank change is enough and forgets less"
        + ("; full tuning does not fit" if size == "large" else ""),
        "qlora": f"the base does not fit in bfloat16; its 4-bit weights take {chosen.weights / GB:.1f} GB",
    }[kind]
    tokens = "tokens" if facts.measured else "tokens, estimated from bytes"
    picks = [
        Choice("", "name", name, "also the folder below runs/"),
        Choice("", "seed", 17, "any; it decides the order of the data and the start of the adapter"),
        Choice(
            "base", "source", base, f"{shape.model_type}, {shape.parameters / 1e6:,.1f} million parameters"
        ),
        Choice("data", "train", train, f"{rows}, {sum(facts.lengths):,} {tokens}"),
    ]
    if dev:
        picks.append(Choice("data", "dev", dev, "its loss is logged at every checkpoint"))
    picks += [
        Choice(
            "data", "max_length", max_length,
            f"all positions of the base; {longer:,} longer records (up to {longest} {tokens}) must be shortened, or "
            "data.truncation must allow the cut"
            if longer
            else f"the longest record has {longest} {tokens}: nothing is cut",
        ),
        Choice(
            "data", "learn", "marked" if facts.marked else "assistant",
            "records mark the turns to learn" if facts.marked else "no record marks single turns",
        ),
        Choice("method", "kind", kind, method_reason),
    ]  # fmt: skip
    if kind != "full":
        dropout = 0.05 if size == "small" else 0.0
        picks += [
            Choice("method", "rank", rank, f"{shape.trainable(kind, rank):,} trained parameters for {rows}"),
            Choice("method", "alpha", 2 * rank, "twice the rank keeps the scale at 2 whatever the rank"),
            Choice(
                "method", "dropout", dropout, "few rows overfit" if dropout else "enough rows not to need it"
            ),
        ]
    rate = {"full": 2e-5, "lora": 2e-4, "qlora": 2e-4}[kind]
    picks += [
        Choice("run", "epochs", epochs, f"{steps} steps: {'few rows are seen several times' if epochs > 1 else 'many rows need one pass'}"),
        Choice("run", "batch_size", batch, f"{chosen.total / GB:.2f} GB a step of {room / GB:.1f} GB"),
        Choice("run", "accumulation", accumulation, f"{batch * accumulation} rows a step in all"),
        Choice("run", "learning_rate", rate, "full tuning moves all weights, so slowly" if kind == "full" else "usual for low-rank adapters"),
        Choice("run", "schedule", "cosine", "falls to zero at the end"),
        Choice("run", "warmup_steps", max(1, round(0.03 * steps)), "3 % of the steps"),
        Choice("run", "gradient_checkpointing", checkpointing, "without it no batch fits" if checkpointing else "the activations fit"),
        Choice("run", "log_steps", max(1, steps // 100), "about 100 points a curve"),
        Choice("run", "save_steps", max(1, min(500, steps // 10)), "at most a tenth of the run is lost"),
    ]  # fmt: skip
    return Plan(tuple(picks), options, _remarks(facts, shape, device, size))


def _name(data: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", data.stem.lower()).strip("-") or "planned"


def _remarks(facts: Facts, shape: Shape, device: Device, size: Band) -> tuple[str, ...]:
    remarks = [
        f"{facts.rows:,} rows ({size}: < {SMALL:,} small, > {LARGE:,} large) on {device.kind} with "
        f"{device.memory / GB:.1f} GB; doyen train --dry-run measures one step."
    ]
    if not facts.measured:
        remarks.append("Lengths are estimated from bytes: the base's tokenizer is not on this machine.")
    if shape.experts:
        remarks.append(
            f"{shape.experts / shape.parameters:.0%} of the weights are routed experts: doyen moe select finds those "
            'that the domain uses, and method.kind = "experts" tunes them alone.'
        )
    if not facts.dev:
        remarks.append("No dev file: overfitting will not be seen. Split one off and give it with --dev.")
    return tuple(remarks)


def _toml(value: Any) -> str:
    return json.dumps(
        value, ensure_ascii=False
    )  # strings, numbers and truth values are written alike in TOML


def _answer_bytes(record: Record) -> int:
    return sum(len(m.content.encode()) for m in record.messages if m.role == "assistant")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
