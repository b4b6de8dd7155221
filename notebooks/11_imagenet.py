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
# **Finding F10.** The paper finds spectral bias in networks trained on ImageNet too, and that function frequency along
# paths *within* a class is higher for classes whose images are more diverse. With $d_c$ a measure of the diversity of class
# $c$ and $\varphi_c$ the mean frequency measure over paths within it, the claim is
#
# $$\rho = \operatorname{corr}\bigl(\operatorname{rank}(d_c),\ \operatorname{rank}(\varphi_c)\bigr) > 0 .$$
#
# Which diversity the paper used is not known, so there are several here, and none of them looks at the network under test.
#
# This notebook has two halves, and executes one. With a folder of ImageNet photos (`images`) it measures pretrained
# **ImageNet networks**. Without one it runs a **controlled version**: original classes of a small dataset are merged
# into labels of 1, 2 or 5 of them. Then nobody has to measure diversity: it was set by design.

# %%
import dataclasses

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display

from lib import claims, data, diversity, measure, models, plots, pretrained, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: its classes are merged: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the network that learns them, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each, and one drawing of the classes to merge
sizes: list[int] = [1, 1, 1, 2, 5]  # original classes: in each label
num_epochs: int = 20  # epochs: of every run
num_train: int = 600  # images: trained on, drawn by the seed
num_test: int = 190  # images: of the merged test set; paths join these
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.augment
num_pairs: int = 200  # paths: within classes, and as many between classes
spacing: float = 0.15  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: power at or above it is high-frequency
images: str = ""  # name: folder:PATH, one folder a class of ImageNet-1k; empty: the controlled version
networks: list[str] = ["torchvision:squeezenet1_1"]  # name: torchvision:NAME or timm:NAME, see lib.pretrained
top1: list[float] = [0.582]  # share: known top-1 of each network
family: str = "mobilenetv1"  # name: networks that have it in theirs are one family of several widths
feature_network: str = "torchvision:squeezenet1_1"  # name: gives features for diversity, is left out of its claims
num_points: int = 64  # points: on an ImageNet path of median length
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
if not images:
    print("No folder of ImageNet photos: get the validation images from image-net.org (for non-commercial research), put one "
          "folder a class, and run: study run 11 --profile imagenet-sample -p images=folder:PATH")  # fmt: skip

# %% [markdown]
# ## Half one: diversity by design
#
# `+merged:1-1-1-2-5:SEED` draws ten original classes into five labels. Every label has equally many images, and all labels
# are learned by one network: the number of images, the number of labels, the schedule and the pixel space are the same
# for all. What stays confounded with the number of original classes in a label: each of them has fewer images
# there; the label is harder to learn (hence the rows for correct ends); and two of its images are further apart (hence
# the rows at equal distance below).

# %%
made, found, within = [], [], pd.DataFrame()
if not images:
    names = ("model", "num_epochs", "num_train", "num_test", "batch_size", "lr", "precision", "augmentation")
    common = {name: parameters[name] for name in names}
    merged = {seed: f"{dataset}+merged:{'-'.join(map(str, sizes))}:{seed}" for seed in seeds}
    configs = [TrainingConfig(**common, dataset=merged[seed], seed=seed) for seed in seeds]
    how = measure.MeasurementConfig(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff)
    made = runs.sweep(configs, device)
    measure.final(configs, how, device)
    parts, spreads = [], []
    for config, run in zip(configs, made, strict=True):
        part = diversity.within_classes(measure.measured(run, num_epochs, how, config, device), config.load_data())
        parts.append(part.assign(seed=config.seed, size=np.array(sizes)[part["label"]]))
        spreads.append(diversity.of_classes(config.load_data()).assign(seed=config.seed, size=sizes))
    within, spreads = pd.concat(parts, ignore_index=True), pd.concat(spreads, ignore_index=True)
    columns = ["hff", "power_softmax", "power_logits", "distance", "correct"]
    display(within.groupby("size")[columns].mean().join(spreads.groupby("size")["pixel_distance"].mean()).round(3))

# %%
if not images:
    figure, axes = plots.plt.subplots(1, 3, figsize=(14, 4))
    panels = (("hff", "all", "Published: HFF, all paths", "HFF"),
              ("power_softmax", "correct", "Corrected: softmax, correct ends", f"share above {cutoff:g} cycles/nu"),
              ("power_logits", "correct", "Corrected: logits, correct ends", f"share above {cutoff:g} cycles/nu"))  # fmt: skip
    for ax, (column, selection, title, ylabel) in zip(axes, panels, strict=True):
        chosen = within[within["correct"] | (selection == "all")]
        means = chosen.groupby(["seed", "size"], as_index=False)[column].mean()
        plots.over_seeds(means, "size", column, ax=ax, title=title, xlabel="original classes in a label", ylabel=ylabel)
    figure.suptitle("Frequency along paths within labels that merge more or fewer classes")
    figure.tight_layout()

# %% [markdown]
# ## Half two: ImageNet networks
#
# Each network sees images as its own configuration says: size, interpolation, mean, standard deviation. One nu is one unit
# of L2 norm in the pixels *it* gets, so the spacing is set by the number of points on a path of median length, and the
# cutoff is a tenth of that spacing's Nyquist frequency: the same points between the same images for every network.
#
# A network whose weights or preprocessing were wrong would still give numbers. So its top-1 accuracy comes first.

# %%
if images:
    rows, spectra, parts, diverse = [], [], [], None
    for name, known in zip(networks, top1, strict=True):
        network, preprocessing = pretrained.load(name)
        photos = data.load(images, preprocessing=preprocessing)
        how = measure.protocol(photos, num_pairs, num_points)
        result = measure.measure(network, photos, how, device, progress=True)
        short = name.partition(":")[2].partition(",")[0]
        rows.append({"network": short, "parameters": models.num_parameters(network), "images": len(photos.x_test),
                     "spacing": how.spacing, "cutoff": how.cutoff, "top1": result.network["accuracy"][0], "known": known,
                     "jacobian_norm": result.network["jacobian_norm"][0]})  # fmt: skip
        spectra.append(result.spectra.assign(network=short, share=result.spectra["cycles_per_nu"] * 2 * how.spacing))
        parts.append(result.paths.assign(network=short, label=photos.y_test.numpy()[result.paths["a"]]))
        if name == feature_network:
            diverse = diversity.of_classes(photos, diversity.features(network, photos))
    overview, spectra, paths = pd.DataFrame(rows), pd.concat(spectra), pd.concat(parts, ignore_index=True)
    overview["standard_error"] = (overview["top1"] * (1 - overview["top1"]) / overview["images"]) ** 0.5
    display(overview.round(4))

# %%
if images:
    figure, axes = plots.plt.subplots(1, 2, figsize=(12, 4), sharey=True)
    for ax, kind in zip(axes, ("within", "between"), strict=True):
        shown = spectra[(spectra["kind"] == kind) & (spectra["representation"] == "logits")]
        sns.lineplot(shown, x="share", y="power", hue="network", ax=ax, legend=kind == "between")
        ax.set(title=f"Spectrum {kind} classes, logits, correct ends", yscale="log",
               xlabel="frequency (of the Nyquist frequency)", ylabel="share of power per bin")  # fmt: skip
    sns.move_legend(axes[1], "upper left", bbox_to_anchor=(1, 1), fontsize="small")
    figure.tight_layout()

# %% [markdown]
# ### Width
#
# The networks of one family differ in the width of their layers alone. The pairs of images are the same, so that every path
# gives one rank correlation of width with each measure, and their mean has a bootstrap interval over images.

# %%
if images:
    widths = overview[overview["network"].str.contains(family)].sort_values("parameters")["network"].tolist()
    one = paths[paths["network"].isin(widths)]
    shown = one[one["correct"]].groupby(["network", "kind"])[["power_softmax", "power_logits", "hff"]].mean().loc[widths]
    display(shown.unstack().round(4))

# %% [markdown]
# ### Diversity
#
# * **mean pixel distance**: L2, between two photos of the class;
# * **mean feature distance**: L2, between what another network's last layer reads at them;
# * **log-volume** of the covariance of the class's pixels: mean logarithm of its eigenvalues;
# * **intrinsic dimension**: the participation ratio of those eigenvalues.
#
# A class's frequency is its mean rank over the networks.

# %%
if images:
    tested = paths[(paths["kind"] == "within") & (paths["network"] != feature_network.partition(":")[2].partition(",")[0])]

    def ranks(column, selection):
        return pd.concat([diversity.by_class(part, column, selection).rank() for _, part in tested.groupby("network")],
                         axis=1).mean(axis=1)  # fmt: skip

    for _, column, selection, _ in claims.PATH_MEASURES:
        diverse[f"{column}, {selection}"] = ranks(column, selection)
    figure, axes = plots.plt.subplots(2, len(diversity.DIVERSITIES), figsize=(15, 7), sharey="row")
    for row, (column, label) in zip(axes, (("hff, all", "HFF, all paths"), ("power_logits, correct", "share, logits, correct ends")), strict=True):
        for ax, (kind, title) in zip(row, diversity.DIVERSITIES.items(), strict=True):
            sns.scatterplot(diverse, x=kind, y=column, ax=ax)
            ax.set(xlabel=title, ylabel=f"{label}\n(mean rank over {tested['network'].nunique()} networks)")
    figure.suptitle(f"One point a class: diversity against frequency within the class, {len(diverse)} classes")
    figure.tight_layout()

# %% [markdown]
# ## Claims

# %%
if not images:
    found.append(claims.trend("F10", "corrected", "by design: pixel distance rises with the classes in a label", spreads, "size",
                              "pixel_distance", "> 0"))  # fmt: skip
    for name, column, selection, title in claims.PATH_MEASURES:
        chosen = within[within["correct"] | (selection == "all")]
        labels = chosen.groupby(["seed", "label", "size"], as_index=False)[column].mean()
        found.append(claims.trend("F10", name, f"within labels, {title} rises with the classes in a label", labels, "size", column,
                                  "> 0", claims.path_headline(title, "merged labels: rises with the classes in a label")))  # fmt: skip
        equal = {seed: float(claims.partial_rank_correlation(part["size"], part[column], part["distance"]))
                 for seed, part in chosen.groupby("seed")}  # fmt: skip
        found.append(claims.over_seeds("F10", name, f"the same over paths at equal distance, {title}",
                                       "partial Spearman correlation", list(equal.values()), list(equal), "> 0",
                                       claims.path_headline(title, "merged labels: the same over paths at equal distance")))  # fmt: skip

# %%
if images:
    for row in overview.itertuples():
        found.append(claims.exact("F10", f"top-1 of {row.network} is the known one within its standard error",
                                  "difference / standard error", abs(row.top1 - row.known) / row.standard_error, "< 1", 1))  # fmt: skip
    for kind in ("within", "between"):
        falls = [claims.partial_rank_correlation(part["cycles_per_nu"], part["power"]) for _, part in
                 spectra[(spectra["kind"] == kind) & (spectra["representation"] == "logits")].groupby("network")]  # fmt: skip
        bias = claims.over_seeds("F10", "corrected", f"{kind} classes, power of the logits falls with frequency",
                                 "Spearman correlation of bin and power", falls, range(len(falls)), "< 0",
                                 f"{kind} classes: power falls with frequency|corrected, logits")  # fmt: skip
        found.append(dataclasses.replace(bias, unit="networks"))
    for kind, expected, word in (("between", "> 0", "rises"), ("within", "< 0", "falls")):
        for name, column, selection, title in claims.PATH_MEASURES if len(widths) > 2 else ():
            part = one[one["kind"] == kind].pivot(index=["a", "b"], columns="network", values=[column, "correct"])
            part = part[part["correct"].all(axis=1) | (selection == "all")]
            steps = np.tile(np.arange(len(widths)), (len(part), 1))
            correlations = claims.partial_rank_correlation(steps, part[column][widths].to_numpy(float))
            claim = claims.over_seeds("F10", name, f"{kind} classes, {title} {word} with width", "Spearman correlation, a path",
                                      correlations, np.array(part.index.tolist()).reshape(-1, 2), expected,
                                      claims.path_headline(title, f"{kind} classes: {word} with width"))  # fmt: skip
            found.append(dataclasses.replace(claim, unit="images"))

# %%
if images:
    for kind, label in diversity.DIVERSITIES.items():
        for name, column, selection, title in claims.PATH_MEASURES:
            claim = claims.over_runs("F10", name, f"within classes, {title} rises with {label}", diverse, kind,
                                     f"{column}, {selection}", "> 0",
                                     headline=claims.path_headline(title, f"within classes: rises with {label}"))  # fmt: skip
            found.append(dataclasses.replace(claim, unit="classes"))

# %%
# NBVAL_CHECK_OUTPUT
claims.show(found)

# %%
claims.table(found)

# %% [markdown]
# ## What to make of it
#
# Read published and corrected rows together. HFF over all paths counts the paths on which the prediction changes, and it
# changes more often within a class that is hard: a diverse class may just be a hard one. The rows for correct ends take that
# away, and the rows for logits take confidence away. With merged labels, the rows at equal distance ask whether
# anything is left once paths of equal length are compared: two images of a diverse class are further apart.
#
# On ImageNet, an interval over few classes is wide, and classes differ in more than diversity. A verdict there
# speaks of these classes and these networks.
#
# ## Exercises
#
# 1. How much of a label's HFF over all paths is its error? Rank-correlate the two over labels or classes.
# 2. Which of the corrected measures of a path depends on the path's length?

# %% tags=["solution"]
groups = within.groupby(["seed", "label"]) if not images else tested.groupby(["network", "label"])
errors = 1 - groups["correct"].mean()
print(f"rank correlation of wrong ends and HFF: {claims.partial_rank_correlation(errors, groups['hff'].mean()):.2f}")

# %% tags=["solution"]
every = within if not images else tested
print(every[["distance", "hff", "power_softmax", "power_logits", "variation_logits", "degree_logits"]].corr(method="spearman")
      ["distance"].round(2).to_string())  # fmt: skip

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
claims.record(found, made, globals())
