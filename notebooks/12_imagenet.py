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
# # ImageNet networks show the bias, and higher frequency within more diverse classes
#
# **Finding F10.** The paper finds spectral bias in networks trained on ImageNet too, and that
# function frequency along paths *within* a class is higher for classes whose images are more
# diverse. With $d_c$ a measure of the diversity of class $c$ and $\varphi_c$ the mean frequency
# measure over paths within it, the claim is
#
# $$\rho = \operatorname{corr}\bigl(
# \operatorname{rank}(d_c),\ \operatorname{rank}(\varphi_c)\bigr) > 0 .$$
#
# Which diversity the paper used is not known, so there are several here, and none of them looks at
# the network under test. ([Notebook 11](11_class_diversity.ipynb) sets diversity by design.)

# %% [markdown]
# ## ImageNet, or stand-ins
#
# With a folder of ImageNet photos (`images`) this notebook measures pretrained **ImageNet
# networks**. ImageNet can't be shipped: without that folder, networks that the study trains on
# `dataset` **stand in** for them, and then nothing here is about ImageNet. What follows is the same
# for both. To measure ImageNet's, get its validation images from
# [image-net.org](https://image-net.org) (for non-commercial research), put one folder a class, and
# execute `study run 12 --profile imagenet-sample -p images=folder:PATH`, with weights where
# [params/](../params/README.md) says and `top1` as known for them.

# %%
import dataclasses

import numpy as np
import pandas as pd

from lib import claims, data, measure, models, plots, provenance, runs, stats
from lib.measure import diversity
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
images: str = ""  # name: folder:PATH, one folder a class of ImageNet-1k
networks: list[str] = [
    "mlp-3-32",
    "mlp-3-64",
    "mlp-3-128",
    "mlp-3-256",
    "cnn-8",
]  # name: own ones, see lib.models; for images torchvision:NAME or timm:NAME
top1: list[float] = [0.0]  # share: known top-1, for images one a network
family: str = "mlp"  # name: networks that have it in theirs differ in width alone
feature_network: str = "cnn-8"  # name: gives features for diversity, else left out
num_pairs: int = 200  # paths: within classes, and as many between classes
num_points: int = 64  # points: on a path of median length
dataset: str = "digits"  # name: of own networks, digits, cifar10, svhn or npz:PATH
seed: int = 0  # seed: of own networks
num_epochs: int = 20  # epochs: of own networks
num_train: int = 1297  # images: they are trained on
num_test: int = 500  # images: they are measured on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data
precision: str = "auto"  # name: of training, fp32, bf16 or auto
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## The networks
#
# Each pretrained network sees images as its own configuration says: size, interpolation, mean,
# standard deviation. One nu is one unit of L2 norm in the pixels *it* gets, so the spacing is set
# by the number of points on a path of median length, and the cutoff is a tenth of that spacing's
# Nyquist frequency: the same points between the same images for every network.
#
# A network whose weights or preprocessing were wrong would still give numbers. So its top-1
# accuracy comes first.

# %%
trained = []


def pretrained_networks():
    """(name, network, photos as it expects them, its known top-1) of each of `networks`."""
    for name, known in zip(networks, top1, strict=True):
        network, preprocessing = models.load_pretrained(name)
        yield name, network, data.load(images, preprocessing=preprocessing), known


def own_networks():
    """The same of networks of the study's own: test images, and top-1 when they were trained."""
    common = TrainingConfig.fields_in(parameters)
    configs = [TrainingConfig(**common, model=name) for name in networks]
    trained.extend(runs.sweep(configs, device))
    for config, run in zip(configs, trained, strict=True):
        network = config.build()
        network.load_state_dict(run.weights(num_epochs))
        yield config.model, network, config.load_data(), run.history["test_accuracy"].iloc[-1]


# %%
finding = "F10" if images else "12"  # stand-ins say nothing of the paper's finding
if images:
    whose, chosen = "ImageNet networks", pretrained_networks()
else:
    whose, chosen = f"Networks trained on {dataset}, in place of ImageNet networks", own_networks()
    print(f"No folder of ImageNet photos is given: {whose}")

# %%
rows, spectra, paths = [], [], []
for name, network, its_images, known in chosen:
    protocol = measure.default_protocol(its_images, num_pairs, num_points)
    measurement = measure.measure(network, its_images, protocol, device, progress=True)
    short = name.partition(",")[0].rpartition(":")[2]
    row = {
        "network": short,
        "parameters": models.num_parameters(network),
        "images": len(its_images.x_test),
        "spacing": protocol.spacing,
        "cutoff": protocol.cutoff,
        "top1": measurement.network["accuracy"][0],
        "known": known,
        "jacobian_norm": measurement.network["jacobian_norm"][0],
    }
    rows.append(row)
    share = measurement.spectra["cycles_per_nu"] * 2 * protocol.spacing
    spectra.append(measurement.spectra.assign(network=short, share=share))
    label = its_images.y_test.numpy()[measurement.paths["a"]]
    paths.append(measurement.paths.assign(network=short, label=label))
    if name == feature_network:
        diverse = diversity.of_classes(its_images, diversity.features(network, its_images))
        left_out = short

# %%
overview, spectra = pd.DataFrame(rows), pd.concat(spectra, ignore_index=True)
paths = pd.concat(paths, ignore_index=True)
variance = overview["top1"] * (1 - overview["top1"])
overview["standard_error"] = (variance / overview["images"]) ** 0.5
overview.round(4)

# %%
of_logits = spectra[spectra["representation"] == "logits"]
figure, axes = plots.plt.subplots(1, 2, figsize=(12, 4.5), sharey=True)
for ax, kind in zip(axes, ("within", "between"), strict=True):
    shown, legend = of_logits[of_logits["kind"] == kind], ax is axes[1]
    plots.sns.lineplot(shown, x="share", y="power", hue="network", ax=ax, legend=legend)
    ax.set(title=f"Spectrum {kind} classes, logits, correct ends", yscale="log")
    ax.set(xlabel="frequency (of the Nyquist frequency)", ylabel="share of power per bin")
plots.sns.move_legend(axes[1], **plots.BESIDE, fontsize="small")
figure.suptitle(whose)
figure.tight_layout()

# %% [markdown]
# ### Width
#
# The networks of one family differ in the width of their layers alone. The pairs of images are the
# same, so that every path gives one rank correlation of width with each measure, and their mean has
# a bootstrap interval over images.

# %%
by_size = overview.sort_values("parameters")["network"]
widths = by_size[by_size.str.contains(family)].tolist()
of_family = paths[paths["network"].isin(widths)]
columns = ["power_softmax", "power_logits", "hff"]
correct = of_family[of_family["correct"]]
correct.groupby(["network", "kind"])[columns].mean().loc[widths].unstack().round(4)

# %% [markdown]
# ### Diversity
#
# * **mean pixel distance**: L2, between two images of the class;
# * **mean feature distance**: L2, between what another network's last layer reads at them;
# * **log-volume** of the covariance of the class's pixels: mean logarithm of its eigenvalues;
# * **intrinsic dimension**: the participation ratio of those eigenvalues.
#
# A class's frequency is its mean rank over the networks, the one that gives the features left out.

# %%
tested = paths[(paths["kind"] == "within") & (paths["network"] != left_out)]
num_tested = tested["network"].nunique()
for _, column, selection, _ in measure.PATH_MEASURES:
    ranks = [
        diversity.by_class(of_network, column, selection).rank()
        for _, of_network in tested.groupby("network")
    ]
    diverse[f"{column}, {selection}"] = pd.concat(ranks, axis=1).mean(axis=1)
labels = {"hff, all": "HFF, all paths", "power_logits, correct": "share, logits, correct ends"}
shape = (len(labels), len(diversity.DIVERSITIES))
figure, axes = plots.plt.subplots(*shape, figsize=(15, 7), sharex="col", sharey="row")
for line, (column, label) in zip(axes, labels.items(), strict=True):
    for ax, (kind, title) in zip(line, diversity.DIVERSITIES.items(), strict=True):
        plots.sns.scatterplot(diverse, x=kind, y=column, ax=ax)
        ax.set(xlabel=title, ylabel=f"{label}\n(mean rank over {num_tested} networks)")
        ax.locator_params(axis="x", nbins=5)
title = "one point a class: diversity against frequency within the class"
figure.suptitle(f"{whose}; {title}, {len(diverse)} classes")
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# Over networks: their top-1, and the fall of power with frequency.

# %%
claimed, statistic = [], "difference / standard error"
for row in overview.itertuples():
    statement = f"top-1 of {row.network} is the known one within its standard error"
    difference = abs(row.top1 - row.known) / row.standard_error
    claimed.append(claims.exact(finding, statement, statistic, difference, "< 1", 1))
statistic = "Spearman correlation of bin and power"
for kind in ("within", "between"):
    falls = [
        stats.rank_correlation(bins["cycles_per_nu"], bins["power"])
        for _, bins in of_logits[of_logits["kind"] == kind].groupby("network")
    ]
    statement = f"{kind} classes, power of the logits falls with frequency"
    headline = f"{kind} classes: power falls with frequency|corrected, logits"
    over = (falls, range(len(falls)), "< 0", headline)
    bias = claims.over_seeds(finding, "corrected", statement, statistic, *over)
    claimed.append(dataclasses.replace(bias, unit="networks"))

# %% [markdown]
# Over the images that paths join: the trend with width, of a family of three or more.

# %%
statistic, expectations = "Spearman correlation, a path", {"between": "> 0", "within": "< 0"}
for kind, expected in expectations.items() if len(widths) > 2 else ():
    of_kind = of_family[of_family["kind"] == kind]
    word = claims.WORDS[expected]
    for name, column, selection, title in measure.PATH_MEASURES:
        by_width = of_kind.pivot(index=["a", "b"], columns="network", values=[column, "correct"])
        by_width = by_width[by_width["correct"].all(axis=1) | (selection == "all")]
        values = by_width[column][widths].to_numpy(float)
        steps = np.tile(np.arange(len(widths)), (len(by_width), 1))
        ends = np.array(by_width.index.tolist()).reshape(-1, 2)
        statement = f"{kind} classes, {title} {word} with width"
        headline = claims.path_headline(title, f"{kind} classes: {word} with width")
        over = (stats.rank_correlation(steps, values), ends, expected, headline)
        claim = claims.over_seeds(finding, name, statement, statistic, *over)
        claimed.append(dataclasses.replace(claim, unit="images"))

# %% [markdown]
# Over classes: diversity against frequency.

# %%
for kind, label in diversity.DIVERSITIES.items():
    for name, column, selection, title in measure.PATH_MEASURES:
        statement = f"within classes, {title} rises with {label}"
        headline = claims.path_headline(title, f"within classes: rises with {label}")
        over = (diverse, kind, f"{column}, {selection}", "> 0")
        claim = claims.over_runs(finding, name, statement, *over, headline=headline)
        claimed.append(dataclasses.replace(claim, unit="classes"))

# %%
# NBVAL_CHECK_OUTPUT
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Read published and corrected rows together. HFF over all paths counts the paths on which the
# prediction changes, and it changes more often within a class that is hard: a diverse class may
# just be a hard one. The rows for correct ends take that away, and the rows for logits take
# confidence away.
#
# An interval over few classes is wide, and classes differ in more than diversity. A verdict here
# speaks of these classes and these networks: of ImageNet only where networks and photos are
# ImageNet's.
#
# ## Exercises
#
# 1. How much of a class's HFF over all paths is its error? Rank-correlate the two over classes and
#    networks.
# 2. Do the measures of diversity agree on which classes are diverse?

# %% tags=["solution"]
by_class = tested.groupby(["network", "label"])
errors = 1 - by_class["correct"].mean()
correlation = stats.rank_correlation(errors, by_class["hff"].mean())
print(f"rank correlation of wrong ends and HFF: {correlation:.2f}")

# %% tags=["solution"]
diverse[list(diversity.DIVERSITIES)].corr(method="spearman").round(2)

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals(), measured_on=str(runs.resolve_device(device)))
