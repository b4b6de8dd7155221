# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: "1.3"
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do augmentations that raise accuracy raise frequency between classes, and lower it within?
#
# > **You will be able to** test a correlation over conditions rather than over networks; say when a
# > treatment trains on what is measured.
# >
# > **You need** [notebook 03](03_training_time.ipynb).
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [rank correlation](glossary.md#rank-correlation), [permutation
# > test](glossary.md#permutation-test), [variant](glossary.md#variant); all of them, and the
# > [columns of tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F6.** Data augmentation tells a network what should not matter. The paper reports that
# the augmentations that help accuracy also raise function frequency between classes and lower it
# within.
#
# For every augmentation $a$ there are a mean accuracy and a mean power of the softmax out of band,
# $E(f_c)$, along straight paths between test images
# ([notebook 01](01_measuring_frequency.ipynb) builds it). The claims are about the rank correlation
# over augmentations,
#
# $$\rho = \operatorname{Spearman}_a\bigl(\text{accuracy}_a,\ \ln E_a\bigr),$$

# %% [markdown]
# tested by permuting augmentations: the networks that share one are not independent, so more seeds
# would make each mean surer, and not their number greater.
#
# **Mixup trains on what is measured.** It shows a network points on straight lines between two
# training images, with labels that go linearly from one end to the other; the paths are straight
# lines between two test images. What it does to frequency along them says little about other
# augmentations, so the correlation is shown with and without it.
#
# One note on the code that the paper released: with flip and crop switched on, it applies
# AutoAugment and RandAugment and then crops the *original* image, so that the policy is thrown
# away. Here flip and crop act on the augmented image.

# %%
import itertools

import numpy as np
import pandas as pd

from lib import measure, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import accuracy, conditions
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters
#
# An augmentation is named by its steps joined by `+`, in the order in which they are applied.

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1]  # seed: few are enough, since the claims are over augmentations
augmentations: list[str] = [
    "none",
    "crop",
    "flip_crop",
    "cutout",
    "crop+cutout",
    "flip_crop+cutout",
    "randaugment:3",
    "randaugment:9",
    "randaugment:3+crop",
    "randaugment:9+crop",
    "autoaugment",
    "autoaugment+crop",
    "mixup:0.1",
    "mixup:0.4",
    "mixup:1",
]  # name: steps joined by +, 12 or more for a verdict, see lib.data.augmentation
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
num_pairs: int = 300  # paths: within classes, and as many between classes
spacing: float = 0.05  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: the lowest; power is also measured above 2 and 4 times it
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
common = TrainingConfig.fields_in(parameters)
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))

# %% [markdown]
# ## The experiment

# %%
with_mixup = ["mixup" if "mixup" in name else "others" for name in augmentations]
table = {"augmentation": augmentations, "mixes images": with_mixup, "networks": len(seeds)}
pd.DataFrame(table)

# %%
configs = conditions.by_augmentation(common, augmentations, seeds).values()
trained = runs.sweep(configs, device)
summary = measure.sweep(configs, protocol, device)

# %% [markdown]
# Augmentations are compared along matched paths only: those whose two ends every network of a seed
# classifies correctly.

# %%
print(measure.matched_counts(summary))
print(measure.left_out(summary, "augmentation"))
mixed = summary["augmentation"].str.contains("mixup")
summary["mixes"] = np.where(mixed, "mixup", "others")
compared = summary[summary["included"]]

# %% [markdown]
# ## What the runs show

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 7.1 (predict)
#
# In the next figure every augmentation becomes one numbered point. Before the table and the figure:
# where will mixup lie, above or below the others of the same accuracy, between classes and within?
# And where is the point "none"?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Mixup asks for labels that go linearly from one image to another. What is the power out of band of
# a straight line?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Mixup trains the network to be linear between images, and the line is in the basis: its power out
# of band should be lower than that of others of its accuracy, between classes above all, and its
# softmax is less sure. Within classes it may be the other way: a softmax that is less sure is less
# flat. Which of the two it is, the table's logits tell: if only the softmax's power is low and that
# of standardised logits is not, mixup made the network less sure, and no straighter. "None" tells
# what accuracy augmentation buys: where images are easy, it may lie among the best, and the
# augmentations that destroy labels (a mirrored digit is no digit) below it.
#
# </details>

# %%
columns = ["test_accuracy", "num_paths", "hff", "changes", "power_softmax_1", "power_logits_1"]
table = summary.groupby(["kind", "augmentation"])[columns].mean()
table.sort_values(["kind", "test_accuracy"]).map("{:.3g}".format)

# %% tags=["slide"]
title = f"One point an augmentation: mean (power: geometric) and range, {len(seeds)} seeds"
axes = accuracy.against_accuracy(summary, "augmentation", cutoff, title)

# %% [markdown]
# A correlation sees "none" as one point of many. But it is the one that all others are made of, so
# each is also set against it, at the same seed and along the same paths; and mixup against the
# other augmentations. This describes, and decides nothing.

# %%
outputs = {"softmax": measure.PRIMARY, "logits": measure.column("power", "logits", 1)}
by = ["kind", "augmentation", "seed"]
powers = claims.without_floor(compared).set_index(by)[list(outputs.values())]
if "none" in compared["augmentation"].to_numpy():
    ratios = powers.div(powers.xs("none", level="augmentation")).drop("none", level="augmentation")
    for (name, column), kind in itertools.product(outputs.items(), measure.KINDS):
        ratio = ratios.loc[kind, column].dropna()
        print(
            f"{kind}, {name}: {(ratio < 1).sum()} of {len(ratio)} networks below that of none of "
            f"their seed, x {ratio.min():.2g} to {ratio.max():.2g}"
        )
means = compared.groupby(["kind", "mixes", "augmentation"])[list(outputs.values())].mean()
means = means.drop("none", level="augmentation", errors="ignore")
means.groupby(["kind", "mixes"]).agg(["min", "max"]).map("{:.2g}".format)

# %% [markdown]
# Is mixup one of many, or apart? The spectra along the paths, the power above f:

# %% tags=["slide"]
labels = {"legend": "trained with", "note": measure.matched_counts(summary)}
title = "Power above f, with mixup and without"
grid = plots.power_above(measure.spectra(compared, cutoff), "mixes", title=title, **labels)

# %% [markdown]
# ## Claims
#
# The verdict takes all augmentations that are accurate enough to be compared; described beside
# it, the same without mixup. The interval of a rank correlation is a bootstrap's over
# augmentations, the p-value a permutation's: where the interval ends near 0, the two can differ.

# %%
# NBVAL_CHECK_OUTPUT
design = designs.with_accuracy()
claimed = claims.over_paths("F6", summary, design)
clear = claims.without_floor(compared[compared["mixes"] == "others"])
for kind in measure.KINDS:
    statement = f"{kind} classes, power out of band, without mixup"
    tested = design(clear[clear["kind"] == kind], measure.PRIMARY)
    claimed.append(claims.described("F6", statement, *tested))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed))
for every, without in zip(claimed[:2], claimed[2:], strict=True):
    print(f"\n{without.statement}: {without.text}; with it: {every.text}.")
print()
for kind, rows in compared.groupby("kind"):
    means = rows.groupby("augmentation")[["hff", "test_accuracy", "changes"]].mean()
    rho = means.corr("spearman")["hff"]
    over = f"over {len(means)} augmentations"
    print(f"{kind} classes, rank correlation of HFF {over}: with accuracy", end=" ")
    print(
        f"{rho['test_accuracy']:.2f}, with class changes along matched paths {rho['changes']:.2f}."
    )

# %% [markdown]
# ## What to make of it
#
# HFF, over all paths, counts misclassified ends within classes, as each adds a transition. But
# confidence moves HFF too, with no class changed; the rank correlations above tell how far it
# goes with either. Along matched paths functions are compared. Confidence still differs between
# augmentations: those that mix or destroy labels make a softmax less sure, and that alone lowers
# its power. Compare with the logits in the table, and with the column "variants".
#
# Augmentations of equal accuracy are ranked by noise, and the correlation is over the augmentations
# that somebody chose: another list is another population. It also says nothing about augmentation
# as such: if every one lies below "none", as the counts above may show, then to augment lowered
# power here, of either kind, whatever the order among augmentations is. (All these ratios share one
# network without augmentation a seed: many ratios, few networks.) Where accuracy rises, too, that
# is against the paper's sentence between classes, though no test of it was declared.

# %% [markdown]
# ## Exercises
#
# Exercise 7.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 7.2 (implement)
#
# Write the test behind the claims: Spearman's correlation, and its exact two-sided p-value over all
# permutations (there are few enough of five points).

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Ranks are `argsort` of `argsort` where no two values are equal. p is the share of permutations at
# least as far from 0 as what was seen, with a hair's breadth for rounding.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import itertools

import numpy as np


def permutation_test(x, y):
    """Spearman's rho of x and y (n,), without ties, and its p-value over all n! orders of y."""
    # ranks first; rho of ranks is their Pearson correlation
    ### BEGIN SOLUTION
    x_ranks, y_ranks = (np.argsort(np.argsort(values)) for values in (x, y))
    every_order = np.array(list(itertools.permutations(y_ranks))) - y_ranks.mean()
    centred = x_ranks - x_ranks.mean()
    rho = centred @ (y_ranks - y_ranks.mean()) / (centred @ centred)
    of_every_order = every_order @ centred / (centred @ centred)
    return rho, (np.abs(of_every_order) >= abs(rho) - 1e-9).mean()
    ### END SOLUTION


# %% tags=["check"]
found = permutation_test([1, 2, 3, 4, 5], [10, 20, 40, 80, 90])
assert np.allclose(found, (1, 2 / 120)), f"of 120 orders two are as far from 0: not {found}"
found = permutation_test([1, 2, 3, 4, 5], [20, 10, 40, 80, 90])
assert np.allclose(found, (0.9, 10 / 120)), f"one swap: rho .9, and ten of 120: not {found}"
found = permutation_test([3, 1, 2], [1, 2, 3])[1]
assert found >= 1 / 3, f"three points can't decide anything: p is 1/3 or more, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 7.3 (vary)
#
# Flipping a digit changes what it is; a mirrored photo is still one. What does leaving the flips
# out do to the correlations? Vary the word, and leave out another step.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `clear["augmentation"].str.contains(word)`; of few augmentations left the design says so itself.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for word in ("flip", "cutout"):
    without_step = clear[~clear["augmentation"].str.contains(word)]
    print(f"without {word}: {without_step['augmentation'].nunique()} augmentations")
    for kind, rows in without_step.groupby("kind"):
        effect, text = design(rows, measure.PRIMARY)
        print(f"   {kind}: {text}{effect.reason and f' ({effect.reason})'}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A correlation over conditions is a statement about the list of conditions. Steps that destroy
# labels stretch the range of accuracies downwards, and with them a correlation may be mostly "bad
# augmentations against the rest". If it holds without them, it is about good ones. With fewer than
# 12 conditions left there is no test, and the number only describes.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 7.4 (vary)
#
# How does power go with the strength of an augmentation that comes in several strengths, as mixup
# or randaugment? Take the step with the most strengths that were compared.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A strength stands behind the colon, in `step:strength`, possibly among other steps joined by `+`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
steps = compared["augmentation"].drop_duplicates().str.extractall(r"(?P<step>\w+):(?P<of>[\d.]+)")
if steps.empty:
    print("no augmentation that was compared has a strength")
else:
    most = steps.groupby("step")["of"].nunique().idxmax()
    has_it = compared[compared["augmentation"].str.contains(f"{most}:")]
    strengths = has_it["augmentation"].str.extract(rf"{most}:([\d.]+)")[0].astype(float)
    groups = has_it.groupby(["kind", strengths.rename(most), "augmentation"])
    print(groups[["test_accuracy", "power_softmax_1", "power_logits_1"]].mean().to_string())

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A strength is a dose within one augmentation, so more of one thing varies than in the list of all:
# if power falls steadily with it, that is better evidence than one point among fifteen. Watch
# softmax and logits side by side: a stronger augmentation makes labels less certain, which alone
# lowers the softmax's power between classes, and may raise it within, where a sure softmax would be
# flat.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 7.5 (think)
#
# How much of the ranking by accuracy is noise? Compare the ranks that two seeds give, and say what
# a low correlation would mean for the claims.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A pivot of `test_accuracy`, augmentations by seeds.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
within = compared[compared["kind"] == "within"]
accuracies = within.pivot(index="augmentation", columns="seed", values="test_accuracy")
print(accuracies.corr("spearman").round(2))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Augmentations that differ by less than a few test images are ordered by chance. A noisy axis pulls
# the correlation towards 0: it hides a relation and invents none. More seeds make each mean surer,
# but the number of conditions, which is what is permuted, stays the same. The remedy for an
# inconclusive claim is a list with a wider range of accuracies, chosen without looking at power.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
