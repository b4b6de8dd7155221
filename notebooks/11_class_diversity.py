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
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: advanced.
# >
# > **Words**: [dose](glossary.md#dose), [between and within
# > classes](glossary.md#between-and-within-classes), [confidence
# > interval](glossary.md#confidence-interval); all in the [glossary](glossary.md).

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

from lib import measure, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import diversity
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: its classes are merged: digits, cifar10, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the network that learns them, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication, and one drawing of classes, each
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
# classes has fewer images of each, may be harder to learn, and two of its images may be further
# apart. Some images of each label, for the first seed:

# %%
merged = configs[0].load_data()
shown, many = merged.normalize(merged.x_test), 10
low, high = shown.mean(1).min().item(), shown.mean(1).max().item()
figure, axes = plots.plt.subplots(len(sizes), many, figsize=(many, len(sizes)), squeeze=False)
for label, (line, size) in enumerate(zip(axes, sizes, strict=True)):
    for ax, image in zip(line, shown[merged.y_test == label], strict=False):
        ax.imshow(image.mean(0), cmap="gray", vmin=low, vmax=high)
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


def by_size(paths: pd.DataFrame) -> pd.DataFrame:
    """A row a seed and size of label: means over correct paths, of HFF over all; num_paths."""
    every, correct = paths.groupby(own), paths[paths["correct"]].groupby(own)
    means = correct.mean().reindex(every.size().index)
    counts = correct.size().reindex(means.index, fill_value=0)
    return means.assign(num_paths=counts, hff=every["hff"].mean()).reset_index()


table = by_size(within)
print(measure.matched_counts(table))

# %% [markdown]
# ## What the runs show

# %%
labels = {"xlabel": "m, original classes in a label", "logx": True}
title = "Frequency within labels, by how many classes they merge"
axes = plots.published_and_out_of_band(table, "size", cutoff, title=title, **labels)

# %% [markdown]
# Is it more transitions, or sharper ones? And is it the distance between two images? The means by
# size, beside the mean pixel distance of two images of a label:

# %%
columns = ["correct", "num_paths", "distance", "changes", "hff", measure.PRIMARY, "share_softmax_1"]
means = table.drop(columns="correct").join(within.groupby(own)["correct"].mean(), on=own)
pixels = spreads.groupby("size")["pixel_distance"].mean()
means.groupby("size")[columns].mean().join(pixels).map("{:.3g}".format)

# %%
correct = within[within["correct"]].copy()
quarters = pd.qcut(correct["distance"], 4)
correct["middle"] = correct.groupby(quarters, observed=True)["distance"].transform("median")
by_distance = correct.groupby(["seed", "size", "middle"], as_index=False)[measure.PRIMARY].mean()
title = f"The same by length of path. {measure.matched_counts(table)}"
labels = {"xlabel": "length of path (nu, median of its quarter)", "legend": "m", "title": title}
labels |= {"ylabel": f"power above {cutoff:g} cycles/nu (dashed: floor)"}
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

# %%
print(verdicts.answer(claimed))

# %% [markdown]
# ## What to make of it
#
# HFF over all paths rises with the share of paths on which the prediction changes, and it changes
# where a label is hard: a diverse label may be just a hard one (confidence moves HFF, too). Along
# paths with correct ends that is taken away in part: a path may leave its label and come back,
# which the class changes a path show. The row at equal length asks whether anything is left once
# two images are not further apart.
#
# The sizes differ in number: where only one label a seed has a size, what is particular to that
# label and what its size does are told apart by seeds alone.
#
# Diversity is set here, but by joining classes that a network would otherwise keep apart. Whether
# the same goes for diversity *within* a natural class is what
# [notebook 12](12_imagenet.ipynb) asks.
#
# ## Exercises
#
# 1. How much of a label's HFF over all paths is its error? Rank-correlate the two over labels.
# 2. A path within a label of several classes joins two of its original classes, or stays in one.
#    Why can the power along it tell the two apart, though the network was never told?
#    How many paths of the largest label change the predicted label on the way?

# %% tags=["solution"]
by_label = within.groupby(["seed", "label"])
errors = 1 - by_label["correct"].mean()
correlation = stats.rank_correlation(errors, by_label["hff"].mean())
print(f"rank correlation of wrong ends and HFF: {correlation:.2f} over {len(errors)} labels")

# %% tags=["solution"]
largest = correct[correct["size"] == max(sizes)]
left = largest["changes"] > 0
print(f"{left.mean():.1%} of {len(left)} paths within the largest label leave it on the way.")
print("The network has to learn regions of the label far apart, and what lies between is free.")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
