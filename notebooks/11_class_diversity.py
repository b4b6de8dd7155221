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
# # Networks have higher function frequency within classes that are more diverse
#
# **Finding F10, the controlled version.** The paper finds that function frequency along paths
# *within* a class of ImageNet is higher for classes whose images are more diverse. Which measure of
# diversity it used is not known. Here nobody has to measure it: original classes of a small dataset
# are merged into labels of 1, 2 or 5 of them, so that diversity is set by design. With $m_c$ the
# number of original classes in label $c$ and $\varphi_c$ the mean frequency measure over paths
# within it, the claim is
#
# $$\rho = \operatorname{corr}\bigl(
# \operatorname{rank}(m_c),\ \operatorname{rank}(\varphi_c)\bigr) > 0 .$$
#
# [Notebook 12](12_imagenet.ipynb) measures the diversity of classes as they are, with pretrained
# ImageNet networks on a folder of photos.

# %%
import numpy as np
import pandas as pd

from lib import claims, measure, plots, provenance, runs, stats
from lib.measure import diversity
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: its classes are merged: digits, cifar10, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the network that learns them, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each, and one drawing of classes to merge
sizes: list[int] = [1, 1, 1, 2, 5]  # original classes: in each label
num_epochs: int = 20  # epochs: of every run
num_train: int = 600  # images: trained on, drawn by the seed
num_test: int = 190  # images: of the merged test set; paths join these
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data
num_pairs: int = 200  # paths: within classes, and as many between classes
spacing: float = 0.15  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: power at or above it is high-frequency
precision: str = "auto"  # name: of training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## Diversity by design
#
# `+merged:1-1-1-2-5:SEED` draws ten original classes into five labels. Every label has equally many
# images, and all labels are learned by one network: the number of images, the number of labels, the
# schedule and the pixel space are the same for all. What stays confounded with the number of
# original classes in a label: each of them has fewer images there; the label is harder to learn
# (hence the rows for correct ends); and two of its images are further apart (hence the rows at
# equal distance below).

# %%
merging = f"{dataset}+merged:{'-'.join(map(str, sizes))}"
common = TrainingConfig.fields_in(parameters, but=("dataset",))
configs = [TrainingConfig(**common, dataset=f"{merging}:{seed}", seed=seed) for seed in seeds]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
trained = runs.sweep(configs, device)
summary, _ = measure.sweep(configs, protocol, device)
accuracy = summary.drop_duplicates("key").set_index("seed")["test_accuracy"].rename("test accuracy")
accuracy.to_frame().round(3)

# %%
within, spreads = [], []
for config, run in zip(configs, trained, strict=True):
    merged = config.load_data()
    paths = diversity.within_classes(measure.read_measurement(run, num_epochs, protocol), merged)
    within.append(paths.assign(seed=config.seed, size=np.array(sizes)[paths["label"]]))
    spreads.append(diversity.of_classes(merged).assign(seed=config.seed, size=sizes))
within, spreads = pd.concat(within, ignore_index=True), pd.concat(spreads, ignore_index=True)
columns = ["hff", "power_softmax", "power_logits", "distance", "correct"]
pixel_distance = spreads.groupby("size")["pixel_distance"].mean()
within.groupby("size")[columns].mean().join(pixel_distance).round(3)

# %%
selected = {"all": within, "correct": within[within["correct"]]}
every, correct = (
    paths.groupby(["seed", "size"], as_index=False).mean(numeric_only=True)
    for paths in selected.values()
)
share = f"share above {cutoff:g} cycles/nu"
panels = [
    (every, "hff", "Published: HFF, all paths", "HFF"),
    (correct, "power_softmax", "Corrected: softmax, correct ends", share),
    (correct, "power_logits", "Corrected: logits, correct ends", share),
]
title = "Frequency along paths within labels that merge more or fewer classes"
axes = plots.row(panels, "size", title=title, xlabel="original classes in a label")
for ax in axes:
    ax.set_xticks(sorted(set(sizes)))

# %% [markdown]
# ## Claims

# %%
# NBVAL_CHECK_OUTPUT
distance = "by design: pixel distance rises with the classes in a label"
of_spreads = (spreads, "size", "pixel_distance", "> 0")
claimed = [claims.trend("F10", "corrected", distance, *of_spreads)]
for name, column, selection, title in measure.PATH_MEASURES:
    chosen = selected[selection]
    labels = chosen.groupby(["seed", "label", "size"], as_index=False)[column].mean()
    statement = f"within labels, {title} rises with the classes in a label"
    headline = claims.path_headline(title, "merged labels: rises with the classes in a label")
    rises = claims.trend("F10", name, statement, labels, "size", column, "> 0", headline)
    equal = {
        seed: stats.rank_correlation(paths["size"], paths[column], paths["distance"])
        for seed, paths in chosen.groupby("seed")
    }
    statement = f"the same over paths at equal distance, {title}"
    headline = claims.path_headline(title, "merged labels: the same over paths at equal distance")
    tested = (list(equal.values()), list(equal), "> 0", headline)
    statistic = "partial Spearman correlation"
    claimed += [rises, claims.over_seeds("F10", name, statement, statistic, *tested)]
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Read published and corrected rows together. HFF over all paths counts the paths on which the
# prediction changes, and it changes more often within a label that is hard: a diverse label may
# just be a hard one. The rows for correct ends take that away, and the rows for logits take
# confidence away. The rows at equal distance ask whether anything is left once paths of equal
# length are compared: two images of a diverse label are further apart.
#
# ## Exercises
#
# 1. How much of a label's HFF over all paths is its error? Rank-correlate the two over labels.
# 2. Which of the corrected measures of a path depends on the path's length?

# %% tags=["solution"]
by_label = within.groupby(["seed", "label"])
errors = 1 - by_label["correct"].mean()
correlation = stats.rank_correlation(errors, by_label["hff"].mean())
print(f"rank correlation of wrong ends and HFF: {correlation:.2f}")

# %% tags=["solution"]
columns = ["hff", "power_softmax", "power_logits", "variation_logits", "degree_logits"]
with_distance = within[["distance", *columns]].corr(method="spearman")["distance"]
print(with_distance.round(2).to_string())

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
