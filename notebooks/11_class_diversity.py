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
# # Do networks have higher function frequency within labels that are more diverse?
#
# > **You will be able to** set by design what could only be observed, and test a dose within one
# > network.
# >
# > **You need** [notebook 03](03_training_time.ipynb).
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: advanced.
# >
# > **Words**: [dose](glossary.md#dose), [between and within
# > classes](glossary.md#between-and-within-classes), [confidence
# > interval](glossary.md#confidence-interval); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F10, by design.** The paper finds that function frequency along paths *within* a class
# of ImageNet is higher for classes whose images are more diverse. Which measure of diversity it
# used is not known. Here nobody has to measure it: original classes of a small dataset are merged
# into labels of one, two or five of them, and $m$, the number of original classes in a label, is a
# dose of diversity.
#
# What is measured is $E(f_c)$, the power of the softmax out of the band below $f_c$ along straight
# paths between two test images of one label ([notebook 01](01_measuring_frequency.ipynb) builds
# it). All labels are learned by one network, so that they are compared within it: one slope a seed,
# of the logarithm of the mean power on the logarithm of $m$,
#
# $$\ln E_m = a + b \ln m, \qquad \text{the paper says } b > 0 .$$
#
# [Notebook 12](12_imagenet.ipynb) takes classes as they are and measures how diverse they are, with
# networks for ImageNet on a folder of photos.

# %%
import dataclasses
import itertools

import numpy as np
import pandas as pd

from lib import data, measure, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import diversity
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: its classes are merged: digits, cifar10, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the network that learns them, see lib.models
seeds: list[int] = [0, 9, 21, 23, 27, 28, 29, 34, 35, 39]  # seed: one replication and drawing each
sizes: list[int] = [1, 1, 1, 2, 5]  # original classes: in each label
num_epochs: int = 20  # epochs: of every run
num_train: int = 600  # images: of the merged training set, drawn by the seed
num_test: int = 190  # images: of the merged test set; paths join these
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
num_pairs: int = 750  # paths: within labels, as many of each, and as many between labels
spacing: float = 0.05  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: the lowest; power is also measured above 2 and 4 times it
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
merging = f"{dataset}+merged:{'-'.join(map(str, sizes))}"
common = TrainingConfig.fields_in(parameters, but=("dataset",))
configs = [TrainingConfig(**common, dataset=f"{merging}:{seed}", seed=seed) for seed in seeds]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))

# %% [markdown]
# ## The experiment
#
# `+merged:SIZES:SEED` draws original classes into labels. Every label has as many images as the
# least original class, equal parts of its own classes: so the number of images, the number of
# labels, the schedule and the pixel space are the same for all labels. What is not: a label of more
# classes has fewer images of each, may be harder to learn, two of its images may be further apart,
# and fewer classes are left outside it that a path could pass through. And *which* classes: were
# one of them hard, and mostly drawn into the large label, that would look like diversity. So the
# usual seeds are chosen, by their drawing alone, to balance it: each of ten classes is alone three
# times, one of two twice, and one of five five times. What classes do then cancels in the mean, and
# stays in the spread over seeds: the interval errs on the wide side. (They replace five seeds that
# put the dog, of CIFAR-10, among the five each time.)


# %%
def drawn(config) -> dict[int, int]:
    """The size of the label that each original class is drawn into."""
    order = np.random.default_rng(config.seed).permutation(data.load(dataset).num_classes)
    return dict(zip(order.tolist(), np.repeat(sizes, sizes).tolist(), strict=False))


how_often = pd.DataFrame([drawn(config) for config in configs]).apply(pd.Series.value_counts)
how_often = how_often.rename_axis(index="classes in the label", columns="original class")
how_often.sort_index().sort_index(axis=1).fillna(0).astype(int)

# %% [markdown]
# How often each class was drawn into a label of which size stands above. Some images of each label,
# for the first seed:

# %%
merged, many = configs[0].load_data(), 10
shown = (merged.x_test / merged.x_test.max()).permute(0, 2, 3, 1)
figure, axes = plots.plt.subplots(len(sizes), many, figsize=(many, len(sizes)), squeeze=False)
for label, (line, size) in enumerate(zip(axes, sizes, strict=True)):
    for ax, image in zip(line, shown[merged.y_test == label], strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(f"m = {size}", rotation=0, ha="right")
figure.suptitle("Test images of each label, by the number m of its original classes")
figure.tight_layout()

# %%
trained = runs.sweep(configs, device)
summary = measure.sweep(configs, protocol, device)
columns = ["dataset", "num_train", "test_accuracy"]
summary.drop_duplicates("key").set_index("seed")[columns].round(3)

# %% [markdown]
# Paths whose two ends the network classifies correctly, by the size of their label:

# %%
within, spreads = [], []
for config, run in zip(configs, trained, strict=True):
    merged = config.load_data()
    own = {"seed": config.seed, "kind": "within", "included": True}
    paths = diversity.within_classes(measure.read_measurement(run, num_epochs, protocol), merged)
    within.append(paths.assign(**own, size=np.array(sizes)[paths["label"]]))
    spreads.append(diversity.of_classes(merged).assign(seed=config.seed, size=sizes))
within, spreads = pd.concat(within, ignore_index=True), pd.concat(spreads, ignore_index=True)
own = ["seed", "size", "kind", "included"]


# %%
def by_size(paths: pd.DataFrame) -> pd.DataFrame:
    """A row a seed and size of label: means over correct paths (and the median of the power), of
    HFF over all; num_paths, and how many carry the mean of the power."""
    every, correct = paths.groupby(own), paths[paths["correct"]].groupby(own)
    means = correct.mean().reindex(every.size().index)
    for name in ("power", "floor"):
        means[f"{name}_median"] = correct[f"{name}_softmax_1"].median()
    total = correct[measure.PRIMARY].agg(["sum", lambda power: (power**2).sum()])
    means["effective_paths"] = total.iloc[:, 0] ** 2 / total.iloc[:, 1]
    counts = correct.size().reindex(means.index, fill_value=0)
    return means.assign(num_paths=counts, hff=every["hff"].mean()).reset_index()


table = by_size(within)
print(measure.matched_counts(table))

# %% [markdown]
# ## What the runs show

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 11.1 (predict)
#
# A label is now one, two or more original classes. Predict HFF over all paths and power over
# correct paths against the number $m$ of classes in a label: which rises more, and why might either
# rise without any higher frequency?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Which labels are harder? Which have images further apart?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# HFF counts wrong ends, and merged labels are harder, so HFF should rise by that alone. The power
# over correct paths rises if the network keeps its original classes apart inside and dips on the
# way from one to the other, although the label stays the same. It could also rise because two
# images of a larger label lie further apart: the row at equal length is there for that. If the
# network learned one region for each label, as the labels say, power would not rise at all.
#
# </details>

# %% tags=["slide"]
labels = {"xlabel": "m, original classes in a label", "logx": True}
title = "Frequency within labels, by how many classes they merge"
axes = plots.published_and_out_of_band(table, "size", cutoff, title=title, **labels)

# %% [markdown]
# Is it more transitions, or sharper ones? And is it the distance between two images? The means by
# size, beside the mean pixel distance of two images of a label. (In the table means over seeds are
# arithmetic, and one seed may carry them; the claims compare mean logarithms, as does a figure that
# says geometric.)

# %%
columns = ["correct", "num_paths", "distance", "changes", "hff", measure.PRIMARY, "share_softmax_1"]
means = table.drop(columns="correct").join(within.groupby(own)["correct"].mean(), on=own)
pixels = spreads.groupby("size")["pixel_distance"].mean()
means.groupby("size")[columns].mean().join(pixels).map("{:.3g}".format)

# %% tags=["slide"]
correct = within[within["correct"]].copy()
quarters = pd.qcut(correct["distance"], 4)
correct["middle"] = correct.groupby(quarters, observed=True)["distance"].transform("median")
by_distance = correct.groupby(["seed", "size", "middle"], as_index=False)[measure.PRIMARY].mean()
title = f"The same by length of path. {measure.matched_counts(table)}"
labels = {"xlabel": "length of path (nu, median of its quarter)", "legend": "m", "title": title}
labels |= {"ylabel": f"power above {cutoff:g} cycles/nu\n(dashed: floor)"}
ax = plots.over_seeds(by_distance, "middle", measure.PRIMARY, "size", **labels)
ax.set_yscale("log")
different = sorted(set(sizes))
for size, line in zip(different, ax.get_legend().legend_handles, strict=True):
    level = correct[correct["size"] == size].groupby("middle")["floor_softmax_1"].mean()
    ax.plot(level.index, level, "--", color=line.get_color(), lw=1)

# %% [markdown]
# ## Claims
#
# The verdict is on all paths with correct ends. Described: the same over paths about as long as
# those within labels of the smallest size (the middle half of their lengths), so that distance is
# taken away; each size against the next smaller one, since a slope does not say that power rises
# from every size to the next; and what was set by design.

# %%
smallest = within.loc[within["size"] == min(sizes), "distance"]
as_long = within[within["distance"].between(*smallest.quantile([0.25, 0.75]))]
at_equal_length = by_size(as_long)
print(f"At equal length. {measure.matched_counts(at_equal_length)}")
words = [f"{sizes.count(size)} of {size}" for size in different]
print(f"Labels a seed, by how many classes they merge: {', '.join(words)}.")

# %%
# NBVAL_CHECK_OUTPUT
design = designs.over_doses("size", "the classes in a label")
claimed = claims.over_paths("F10", table, design, kinds=["within"])
effect, text = design(claims.without_floor(at_equal_length), measure.PRIMARY)
if (least := at_equal_length["num_paths"].min()) < claims.LEAST_PATHS:
    reason = f"{least} paths; a verdict needs {claims.LEAST_PATHS}"
    effect = dataclasses.replace(effect, reason=effect.reason or reason)
statement = "within classes, power, over paths of equal length"
claimed.append(claims.described("F10", statement, effect, text))
for one, more in itertools.pairwise(different):
    found = designs.against("size", more, one)(claims.without_floor(table), measure.PRIMARY)
    statement = f"within classes, power, from {one} to {more} classes in a label"
    claimed.append(claims.described("F10", statement, *found))
for column, words in {"changes": "class changes a path", "distance": "length of a path"}.items():
    claimed.append(claims.described("F10", words, *design(table, column)))
statement = "pixel distance of two images of a label"
claimed.append(claims.described("F10", statement, *design(spreads, "pixel_distance")))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed))

# %% [markdown]
# ## What to make of it
#
# HFF over all paths rises with the share of paths on which the prediction changes, and it changes
# where a label is hard: a diverse label may be just a hard one (confidence moves HFF, too). Along
# paths with correct ends that is taken away in part: a path may leave its label and come back,
# which the class changes a path show. The row at equal length asks whether anything is left once
# two images are not further apart; where it has too few paths, as with both datasets, the distance
# remains a rival.
#
# The sizes differ in number: where only one label a seed has a size, what is particular to that
# label and what its size does are told apart by the drawing alone, which therefore has to be
# balanced. And a path that leaves a large label finds fewer classes outside to change to: what a
# label's size adds inside may be taken away there, and a slope holds the sum of both.
#
# Diversity is set here, but by joining classes that a network would otherwise keep apart. Whether
# the same goes for diversity *within* a natural class is what
# [notebook 12](12_imagenet.ipynb) asks.

# %% [markdown]
# ## Exercises
#
# Exercise 11.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 11.2 (implement)
#
# Write the effect of a dose design: the slope of the logarithm of a measure on that of a dose, told
# as a ratio for a doubling.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `np.polyfit(x, y, 1)[0]` is a least-squares slope; a doubling is $\ln 2$ on the axis of the dose.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def ratio_of_a_doubling(dose, measured):
    """By what factor a measure rises when the dose doubles; both (n,), above 0."""
    # a power law is a straight line on two logarithmic axes
    ### BEGIN SOLUTION
    slope = np.polyfit(np.log(dose), np.log(measured), 1)[0]
    return 2**slope
    ### END SOLUTION


# %% tags=["check"]
some_doses = np.array([1.0, 2.0, 5.0, 5.0, 1.0])
for power_of_law in (0, 1, -0.5):
    found = ratio_of_a_doubling(some_doses, 3 * some_doses**power_of_law)
    assert np.isclose(found, 2**power_of_law), f"3 m^{power_of_law} gives {2**power_of_law:.3g}"
found = ratio_of_a_doubling([1, 4], [1, 9])
assert np.isclose(found, 3), f"nine times over two doublings is 3 for one, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 11.3 (vary)
#
# How much of a label's HFF over all paths is its error? Rank-correlate the two over labels; then
# vary the measure: the same for power over correct paths.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Group `within` by seed and label; `correct` is the share of paths with two correct ends.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
by_label = within.groupby(["seed", "label"])
errors = 1 - by_label["correct"].mean()
of_correct = within[within["correct"]].groupby(["seed", "label"])[measure.PRIMARY].mean()
for words, column in {"HFF": by_label["hff"].mean(), "power": of_correct}.items():
    correlation = stats.rank_correlation(errors[column.index], column)
    print(
        f"rank correlation of wrong ends and {words}: {correlation:.2f} over {len(column)} labels"
    )

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# HFF over all paths goes with the share of wrong ends nearly by definition. Power over correct
# paths has the wrong ends taken away, so whatever correlation is left is of another kind: a label
# that is hard may also be one whose correct paths come near other labels. "Harder" and "more
# diverse" were not varied separately here, and can't be told apart by a correlation over labels.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 11.4 (think)
#
# A path within a label of several classes joins two of its original classes, or stays in one. Why
# can the power along it tell the two apart, though the network was never told? How many paths of
# each size of label change the predicted label on the way?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `changes` counts the places where the largest output changes.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for size, its in correct.groupby("size"):
    left = its["changes"] > 0
    print(
        f"m = {size}: {left.mean():.1%} of {len(left)} correct paths leave their label on the way."
    )

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The labels say that two original classes are the same, but the images still lie in two places. The
# network has to give both the same answer, and is free to do as it likes in between, where no image
# tells it anything: its outputs may dip there. A change of the predicted label is the extreme of a
# dip. So diversity may show in the function because the *data* are in several pieces. But paths
# within labels of one class leave them, too, and that is what the others have to be held against:
# where the share does not rise with $m$, pieces are not what it counts.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 11.5 (extend)
#
# Another way to make a label diverse: keep the number of classes at one, and vary how different its
# images are. Propose a design with a dose, and a control.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# What of the images of one class could be chosen, or changed, so that a number orders the labels?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Choose the images of a label by distance: for each class, the $n$ images nearest to one of them
# against $n$ drawn at random, with the share of the spread that is kept as the dose; labels,
# numbers of images, schedule and pixel space stay the same. Or augment a label's images by a dose
# of shifts. Control: the distance of two images rises with the dose by design, so compare at equal
# length, as here. Declare the claim first, then train.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
