"""What the page of results says around its tables."""

from __future__ import annotations

from typing import Final

from doyen_training.verify import (
    consistency,
    distillation,
    early_stopping,
    on_policy,
    packing,
    pgd,
    protection,
)

HEAD: Final = """\
# What the techniques gain

Each technique against its baseline on the same small model. Both arms of a seed begin from the same weights and, unless
"compared" or the list below the table says otherwise, have the same records, steps and order of rows; steps do not cost
all arms the same. The difference is technique minus baseline, with a 95 % t interval over the seeds, paired by seed. An
interval that holds zero is "no gain"; "worse" is printed as readily as "gain". "Task not learned" says that the
technique stayed within a fifth of always naming the commonest type, so this model and budget tell nothing more about
it. A row that begins with ↳ is a further comparison within the same trial. The last column holds what the article or
paper claims, as it stands there: those figures are not ours and come from other models and data.

A seed draws the training records, their order and what a method starts from. Teachers and the mixture of experts are
made once for all seeds.

Small models answer small questions. A gain here says that the mechanism does its work; it does not say how much it
gains on a model a thousand times larger, and "no gain" here does not say that it never will.

Seconds are of processor time, one thread, for all seeds and arms; work that several techniques share, such as the
plain baseline, counts for the first of them.

Do it again: `doyen verify --all --data train.jsonl.gz --out verify.json && doyen verify --table verify.json`.
"""
INTERVALS: Final = """\
The t interval covers the noise of training only: it says how far seeds vary, not how far other clauses or contracts
would. No correction was made for the number of tests: of comparisons between arms that do not differ, one in twenty
misses zero, so about one of these {tests} rows would by chance. A difference of two accuracies also varies with the
records that were drawn for measuring: sqrt(p(1 − p)/{records}) is {error:.1f} points at an accuracy p of 70 %. What each
model answered to each record is not kept, so the records cannot be paired; a verdict is marked "within the sampling of
the dev records" where the difference is below 1.96 of these, which would be the half of a 95 % interval for two models
of which one is right and the other wrong on a share p(1 − p) of the records, half as often as independent ones.
"""
DIFFERS: Final = f"""\
## What differs beside the technique

- `pgd`: the steps are not the same. The hardened model takes {pgd.STEPS}, each of about four passes; the plain one as
  many as bring its clean loss on held-back training contracts nearest to the hardened one's, of
  {", ".join(map(str, pgd.PLAIN_STEPS))}. The lowest, {min(pgd.PLAIN_STEPS)}, was picked for every seed, so fewer steps
  might match better. Both learn from the training contracts that were not held back, and are measured on
  {pgd.MEASURED} dev records that each seed draws anew; in the other trials all seeds are measured on the same.
- `distillation`, `on-policy`: the technique has a teacher that learned the labels of all training records in
  {distillation.TEACHER_STEPS} steps; the baseline has {distillation.LABELLED} labels. "Logits alone" has 512 records in
  place of {distillation.LABELLED}. In `attention` and `protection` both arms have the teacher, "labels alone" has not.
- `on-policy`: 512 prompts, each step also writing answers, against {distillation.LABELLED} labels.
- `consistency`: {2 * consistency.RULES} rows of statements more at each step, about {consistency.LINKED} training clauses
  drawn apart, without their types.
- `early-stopping`: the technique is stopped by half of the dev records and takes fewer steps; both arms are measured on
  the other half. Which half a record is in depends on its length, among equals on the seed.
- `factuality`: the wrong answers to the dev records, whose probability is measured, are drawn anew by each seed.
- `packing`: rows of up to {packing.CAPACITY} tokens, four a step, against 16 records a step; equal steps, not tokens.
- `unfreezing`: steps before all layers are open cost less. `gradnorm`: weighing costs passes of its own.
- `experts`, `masked`: choosing experts or weights takes passes over 128 or 64 training records before the first step;
  "all experts" tunes more weights.
"""
KNOBS: Final = f"""\
## What was set beforehand

- The temperature of the distilled logits, {distillation.TEMPERATURE:g}, also in `attention`, `protection` and "logits
  alone", is the best of 1, 2 and 4 on held-back training contracts with two seeds. It was sought for the technique
  only; labels alone have no such knob.
- The author's choice, not tuned: the weight of the rules in `consistency` ({consistency.WEIGHT:g}, {consistency.RULES}
  rules a step); the gate ({protection.GATE:g} nats) and bounds of the weights in `protection`; in `on-policy` the
  further steps ({on_policy.MORE}) and their share of the learning rate ({on_policy.LOWER:g}, both arms); ε in `pgd`
  ({pgd.EPSILON:g} of the embedding RMS, the same in training and in the attack that measures); the patience
  ({early_stopping.PATIENCE}); ranks and numbers of prompt tokens.
- Numbers of steps, of records and of stages and the threshold of `experts` are the author's choice too, but not a blind
  one: an earlier version of this bench, with fewer steps and 160 dev records, had shown its rows by then, and
  most methods had not learned the task in its steps.
"""
RATES: Final = """\
## Learning rates

The rates of the arms in the first column were searched for in one way: from 0.01 down, or else up, in factors of about
three for as long as the loss falls on clauses of training contracts that were held back, after the same number of
steps on clauses of the other training contracts; one seed that no trial uses. The contracts that the trials are
measured on have no part in it.

The arms in the last column were not searched for: they share that rate, because they differ from the arm in its start,
scale or depth, in which weights of a kind they tune, in number or order of rows or in the terms of the loss. So do both
arms of `consistency`, `early-stopping`, `factuality` and `packing` and the teachers (the rate of "full"), the students
of `protection` (as "distilled"), and the plain steps of `pgd`. A shared rate may not be the arm's best: `masked`, which
tunes few weights at the rate that serves tuning all of them, does not learn the task. Where the baseline's rate was
searched for and the technique shares it (`lora-variants`, `experts`, `pgd`), the choice favours the baseline.

Do it again: `doyen verify --rates --data train.jsonl.gz --out verify.json`.
"""
