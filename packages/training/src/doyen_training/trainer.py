"""TRL's SFTTrainer with loss terms over one forward pass a step, a guard against NaN, and checkpoints that verify.

Shape suffixes: B rows, T tokens of a row, N learned positions of the batch, S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig

from doyen_schemas import DoyenError
from doyen_training import checkpoints, guard
from doyen_training.collate import Collator, GroupedByLength, rows
from doyen_training.forward import learned_forward
from doyen_training.journal import Journal
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.term import Start, Term
from doyen_training.masking import Example
from doyen_training.resumable import Balance, ResumableTrainer


class Trainer(ResumableTrainer):
    """Trains ``model`` on ``train`` with an ordered list of loss terms.

    Args:
        model: any causal language model of transformers or PEFT; what requires a gradient is trained.
        args: TRL's settings. ``output_dir`` receives the checkpoints; ``save_total_limit`` is not used.
        tokenizer: for the padding token, and for the terms.
        train: the training samples; terms know them by their number here.
        dev: samples whose mean cross-entropy is logged as ``eval_loss``.
        terms: the loss terms; their names must differ.
        balance: joins the weighted term losses; without one they are added.
        pack_to: the tokens of a packed row; None keeps one sample a row. Raises TRN-021 for prompt and prefix tuning,
            whose virtual tokens PEFT cannot give to each packed sample.
        skips: how many steps in a row may be skipped because they are not finite.
        sampler: the order of the rows (``collate.rows``), when it is neither random nor grouped by length. It must follow from its
            ``set_epoch`` alone for a resumed run to equal one that never stopped.
        evaluate: figures of the domain, logged as ``eval_NAME`` beside the loss; with
            ``args.metric_for_best_model`` the run keeps the best checkpoint and ends with its weights.
        callbacks: a ``Journal`` among them writes the event log.
    """

    loss_is_scaled_for_ga = True  # type: ignore[assignment]

    def __init__(
        self,
        model: Any,
        args: SFTConfig,
        tokenizer: Any,
        train: Sequence[Example],
        dev: Sequence[Example] = (),
        *,
        terms: Sequence[Term] = (),
        balance: Balance | None = None,
        pack_to: int | None = None,
        max_length: int | None = None,
        skips: int = 3,
        sampler: torch.utils.data.Sampler[int] | None = None,
        evaluate: Callable[[Any], Mapping[str, float]] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        **options: Any,
    ) -> None:
        self.terms = sorted(terms, key=lambda term: not term.hooked) or [CrossEntropy()]
        names = [term.name for term in self.terms]
        if len(set(names)) < len(names):
            raise ValueError(f"two terms have one name: {', '.join(names)}")
        self.balance = balance
        self.examples = list(train)
        self.max_length = max_length
        self.guard = guard.Guard(skips)
        self.tokens_seen = 0
        self.loss_sum, self.loss_steps = 0.0, 0
        self._sampler = sampler
        self._domain = evaluate
        self._micro: list[tuple[Mapping[str, Any], Tensor]] = []  # batches and losses of the step under way
        self._parts: dict[str, Tensor] = {}  # losses of the terms in the step under way
        self._window: list[tuple[Tensor, dict[str, Tensor]]] = []  # good steps since the last log
        self._asked = {
            f"output_{name}": True
            for name in ("attentions", "hidden_states")
            if any(getattr(term, name) for term in self.terms)
        }
        if pack_to is not None and getattr(_peft_config(model), "is_prompt_learning", False):
            raise DoyenError(
                "TRN-021",
                "packing needs position_ids, which PEFT ignores for prompt and prefix tuning.",
                "Set data.packing = false.",
            )
        args.dataset_kwargs = {"skip_prepare_dataset": True}
        args.logging_nan_inf_filter = False  # the default hides NaN behind a loss of 0.0
        args.load_best_model_at_end = bool(args.metric_for_best_model)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        super().__init__(
            model=model,
            args=args,
            data_collator=Collator(
                [*train, *dev],
                pad,
                self.terms,
                training=len(train),
                packed=pack_to is not None,
                flat="flash" in str(getattr(model.config, "_attn_implementation", "")),
            ),
            train_dataset=_table(self.examples, 0, pack_to),
            eval_dataset=_table(dev, len(train), pack_to) if dev else None,
            processing_class=tokenizer,
            callbacks=list(callbacks),
            **options,
        )
        # Makes transformers count the learned tokens of a whole step, whatever the model's forward accepts.
        self.model_accepts_loss_kwargs = True
        self._loss_shifts_labels = True
        self.journal = next((c for c in callbacks if isinstance(c, Journal)), None)
        if self.journal:
            self.journal.trainer = self
            self.remove_callback(PrinterCallback)

    @property
    def outcome(self) -> Literal["finished", "stopped"]:
        """Whether the run came to its end, early stopping included, or can be resumed."""
        short = self.state.global_step < self.state.max_steps
        return "stopped" if short and self.journal and self.journal.stopped else "finished"

    @property
    def mean_loss(self) -> float | None:
        """The mean loss of the whole run's steps that counted, those before a resume included."""
        return self.loss_sum / self.loss_steps if self.loss_steps else None

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> Any:
        """Train from the start or from a checkpoint folder. Raises TRN-006 (not finite) and TRN-020 (cannot write)."""
        start = Start(
            self.model,
            self.processing_class,
            self.examples,
            self.args.device,
            self.args.seed,
            self.max_length,
        )
        for term in self.terms:
            term.begin(start)
        with self.journal.signals() if self.journal else nullcontext():
            return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The joined loss of the terms; in evaluation the mean cross-entropy over the learned tokens."""
        options = dict(self._asked) if self.model.training else {}
        if self.aux_loss_enabled:
            options["output_router_logits"] = True
        forward, outputs = learned_forward(model, inputs, **options)
        count = (
            forward.learned_BT.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        )
        count = count.clamp(min=1)  # a batch without learned tokens adds zero
        if not self.model.training:
            loss = CrossEntropy().loss(forward, count)
            return (loss, {"logits": None}) if return_outputs else loss
        for term in self.terms:
            term.step = self.state.global_step
        losses = {term.name: term.weight * term.loss(forward, count) for term in self.terms}
        for name, part in losses.items():
            self._parts[name] = self._parts.get(name, torch.zeros_like(part)) + part.detach()
        loss = self.balance.combine(losses, model) if self.balance else torch.stack([*losses.values()]).sum()
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages gradients; count is of all processes
        if self.aux_loss_enabled:
            loss = (
                loss + self.router_aux_loss_coef * outputs.aux_loss / self.current_gradient_accumulation_steps
            )
        self.tokens_seen += inputs["tokens"]
        return (loss, {"logits": None}) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """One micro-batch: forward and backward."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._micro.append((inputs, loss))
        return torch.nan_to_num(
            loss, nan=0.0, posinf=0.0, neginf=0.0
        )  # what is not finite is logged by itself

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Called by transformers after the backward pass and before the optimizer's step: the place to check both."""
        norm = super()._get_grad_norm(model, grad_norm)
        loss = torch.stack([loss for _, loss in self._micro]).sum()
        if bool(torch.isfinite(loss + norm)):
            self.guard.good()
            self._window.append((loss, self._parts))
            self.loss_sum += float(loss)
            self.loss_steps += 1
        else:
            self._not_finite(float(loss), float(norm))
        self._micro, self._parts = [], {}
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the terms' figures; the loss is the mean of the steps that counted."""
        if "learning_rate" in logs:
            if not isfinite(logs["grad_norm"]):
                del logs["grad_norm"]
            if self._window:
                logs["loss"] = float(torch.stack([loss for loss, _ in self._window]).mean())
                for name in self._window[-1][1]:
                    parts = torch.stack([part[name] for _, part in self._window])
                    logs[f"{name}/loss"] = float(parts.mean())
            else:
                logs.pop("loss", None)
            for term in self.terms:
                logs |= {f"{term.name}/{key}": value for key, value in term.metrics().items()}
            logs |= {f"balance/{name}": value for name, value in self._balance_figures().items()}
            self._window = []
        super().log(logs, start_time)

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        """The mean cross-entropy of ``dev``, and the domain's figures."""
        output: Any = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        if self._domain:
            with torch.no_grad():
                figures = self._domain(self.model)
            output.metrics.update(
                {f"{metric_key_prefix}_{name}": float(value) for name, value in figures.items()}
            )
        return output

    def _not_finite(self, loss: float, norm: float) -> None:
        """Skip the step, restore a checkpoint, or raise TRN-006."""
        step = self.state.global_step + 1
        figure, value = ("gradient norm", norm) if isfinite(loss) else ("loss", loss)
        batch = [self.examples[i].id for inputs, _ in self._micro for i in inputs["index"].tolist()]
        weights, trained = guard.first_bad_parameter(self.model) or (None, False)
        checkpoint = checkpoints.latest_checkpoint(Path(str(self.args.output_dir)))
        action = self.guard.decide(weights, trained, checkpoint.name if checkpoint else None)
        rate = self._get_learning_rate()
        facts = {"figure": figure, "records": batch, "learning_rate": rate}
        if action == "stop":
            first = f"parameter {weights}" if weights else self._first_bad()
            tried = f"{self.guard.streak - 1} step(s) skipped before; " + (
                f"{self.guard.restored} was restored already"
                if self.guard.restored
                else "no checkpoint to restore"
            )
            self._note("not-finite", step, f"step {step}: {figure} is {value}, stopped", first=first, **facts)
            raise guard.stop_error(figure, value, step, first, batch, rate, tried)
        self.model.zero_grad(
            set_to_none=True
        )  # without gradients the optimizer leaves weights and moments alone
        if action == "skip":
            self._note("skipped", step, f"step {step}: {figure} is {value}, step skipped", **facts)
            return
        folder = Path(str(checkpoint))
        self._load_weights(folder)
        self._load_terms(folder)
        self._load_moments(folder)
        scheduler: Any = self.lr_scheduler
        scheduler.base_lrs = [base / 2 for base in scheduler.base_lrs]
        for group, current in zip(self.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            group["lr"] = current / 2
        text = f"step {step}: {figure} is {value}, weights of {folder.name} restored, learning rate halved"
        self._note("restored", step, text, checkpoint=folder.name, **facts)

    def _first_bad(self) -> str:
        inputs = next((i for i, loss in self._micro if not torch.isfinite(loss)), self._micro[0][0])
        keys = ("input_ids", "attention_mask", "position_ids")
        module = guard.first_bad_output(self.model, {key: inputs[key] for key in keys if key in inputs})
        if module:
            return f"output of {module}"
        terms = [f"loss of the term {name}" for name, part in self._parts.items() if not torch.isfinite(part)]
        gradient = f"gradient of {guard.first_bad_gradient(self.model)}"
        return terms[0] if terms else gradient

    def _note(self, kind: str, step: int, text: str, **facts: Any) -> None:
        if self.journal:
            self.journal.note(kind, step, text, **facts)

    def _balance_figures(self) -> Mapping[str, float]:
        return self.balance.metrics() if self.balance else {}

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self._sampler is not None:
            return self._sampler
        if self.args.train_sampling_strategy == "group_by_length":
            train_rows: Any = self.train_dataset
            batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            return GroupedByLength(list(train_rows["length"]), batch, seed)
        return super()._get_train_sampler(train_dataset)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        return torch.utils.data.SequentialSampler(eval_dataset)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: Any = ["indices"]


def _table(examples: Sequence[Example], first: int, pack_to: int | None) -> Dataset:
    """Rows of sample numbers, which begin at ``first``, with their lengths in tokens."""
    numbers = rows(examples, pack_to)
    return Dataset.from_dict(
        {
            "indices": [[first + index for index in row] for row in numbers],
            "length": [sum(len(examples[index].input_ids) for index in row) for row in numbers],
        }
    )


def _peft_config(model: Any) -> Any:
    return getattr(model, "active_peft_config", None)
