# ruff: noqa: ARG002 (the signatures are those of transformers' callbacks)
"""The event log of a run (``events.jsonl``), its progress bar or progress lines, and its ends: clock and signals."""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_training.trainer import Trainer

UNLOGGED: Final = ("epoch", "_runtime", "_per_second")
SHOWN: Final = ("loss", "eval_loss", "tokens_per_s", "eta_s")


class Journal(TrainerCallback):
    """Writes one line an event, flushed at once, and reports progress.

    Every log step is an event with loss, each term's figures, gradient norm, learning rate, tokens, tokens a second,
    peak memory and seconds to go. On a terminal a bar shows them; elsewhere ``report`` gets a line. ``seconds`` ends
    the run at the end of a step, with a checkpoint, as does SIGTERM or Ctrl-C.
    """

    def __init__(
        self, file: Path, report: Callable[[str], None], seconds: float = math.inf, bar: bool | None = None
    ) -> None:
        self.file = file
        self.report = report
        self.seconds = seconds
        self.bar_wanted = sys.stderr.isatty() if bar is None else bar
        self.trainer: Trainer | None = None
        self.stopped = False
        self.stepped = False  # a step was done or tried, so there is something to keep
        self._anew = False  # the next line is the first of a run from its start
        self._bar: Any = None
        self._since = (0.0, 0)
        self._begun = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clocks and the bar."""
        # The lines of a run that starts over go with its first own line: until then it may be refused.
        self._anew = state.global_step == 0
        mend(self.file)
        now = time.monotonic()
        self._since = (now, self.trainer.tokens_seen if self.trainer else 0)
        self._begun = (now, state.global_step)
        if self.bar_wanted:
            from tqdm import tqdm

            self._bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                unit="step",
                dynamic_ncols=True,
                file=sys.stderr,
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop at a step's end, with a checkpoint, when the time is up or a signal came."""
        self.stepped = True
        if self._bar is not None:
            self._bar.update(1)
        if self.stopped or time.monotonic() - self._begun[0] >= self.seconds:
            self.stopped = state.global_step < state.max_steps
            control.should_save = control.should_log = control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One event for a log step or an evaluation."""
        logs = logs or {}
        if "learning_rate" not in logs and "eval_loss" not in logs:
            return
        event: dict[str, Any] = {"step": state.global_step, "steps": state.max_steps}
        event |= self._speed(state) if "learning_rate" in logs else {}
        event |= {
            key: value for key, value in logs.items() if key not in ("epoch", "step") and _finite(value)
        }
        event = {key: _short(value) for key, value in event.items()}
        self.write(event)
        shown = {key: event[key] for key in SHOWN if key in event}
        if self._bar is not None:
            self._bar.set_postfix({k: v for k, v in shown.items() if k != "eta_s"})
        else:
            line = ", ".join(f"{key} {value}" for key, value in shown.items())
            self.report(f"step {state.global_step}/{state.max_steps}: {line}")

    def note(self, kind: str, step: int, text: str, **facts: Any) -> None:
        """An event out of the ordinary: a skipped step, a restored checkpoint, a damaged one."""
        self.stepped |= step > 0
        self.write({"step": step, "event": kind, **facts})
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            self.report(text)

    def write(self, event: dict[str, Any]) -> None:
        """Append one line. Raises TRN-020 when it cannot be written."""
        line = json.dumps({"time": round(time.time(), 1), **event}, allow_nan=False)
        try:
            with self.file.open("w" if self._anew else "a", encoding="utf-8") as stream:
                stream.write(line + "\n")
            self._anew = False
        except OSError as error:
            raise DoyenError(
                "TRN-020",
                f"{self.file.name} could not be written: {error.strerror}.",
                "Free space on the disk of --out, then go on with --resume.",
            ) from error

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and the first Ctrl-C stop the run at the end of its step; a second Ctrl-C stops it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may set handlers
            return

        def stop(number: int, _: Any) -> None:
            if self.stopped and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.stopped = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _speed(self, state: TrainerState) -> dict[str, Any]:
        now = time.monotonic()
        tokens = self.trainer.tokens_seen if self.trainer else 0
        done = state.global_step - self._begun[1]
        speed = {
            "tokens": tokens,
            "tokens_per_s": round((tokens - self._since[1]) / max(now - self._since[0], 1e-9), 1),
            "eta_s": round((now - self._begun[0]) / max(done, 1) * (state.max_steps - state.global_step)),
            **peak_memory(),
        }
        self._since = (now, tokens)
        return speed


def peak_memory() -> dict[str, int]:
    """Highest memory of this process so far, in MiB: resident, and on the GPU where there is one."""
    unit = 1 if sys.platform == "darwin" else 1024
    memory = {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20}
    if torch.cuda.is_available():
        memory["peak_gpu_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return memory


def mend(file: Path) -> None:
    """Cut off a last line that a kill left unfinished."""
    if not file.is_file():
        return
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        file.write_bytes(content[: content.rfind(b"\n") + 1])


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
