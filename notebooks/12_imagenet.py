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
# # Do networks for ImageNet show the bias, and higher frequency within more diverse classes?
#
# > **You will be able to** measure networks that others trained, on a folder of photos; say how
# > little ten classes can decide.
# >
# > **You need** [notebook 11](11_class_diversity.ipynb).
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: advanced.
# >
# > **Words**: [rank correlation](glossary.md#rank-correlation), [path](glossary.md#path),
# > [nu](glossary.md#nu); all of them, and the [columns of tables](glossary.md#columns-of-tables),
# > in the [glossary](glossary.md).

# %% [markdown]
# **Finding F10.** The paper finds spectral bias in networks trained on ImageNet too, and that
# function frequency along paths *within* a class is higher for classes whose images are more
# diverse. With $d_c$ a measure of the diversity of class $c$ and $E_c$ the mean power of a
# network's softmax out of band ([notebook 01](01_measuring_frequency.ipynb) builds it) along paths
# between two images of it, the question is whether
#
# $$\rho = \operatorname{corr}\bigl(
# \operatorname{rank}(d_c),\ \operatorname{rank}(E_c)\bigr) > 0 .$$
#
# Which diversity the paper used is not known, so there are several here, and none of them looks at
# the network under test. ([Notebook 11](11_class_diversity.ipynb) sets diversity by design.)

# %% [markdown]
# ## ImageNet, or stand-ins
#
# With a folder of ImageNet photos (`images`) this notebook measures pretrained **ImageNet
# networks**. ImageNet can't be shipped: without that folder, networks that the study trains on
# `dataset` **stand in** for them, and then nothing here is about ImageNet. What follows is the same
# for both.
#
# The shipped profile with photos, `imagenet-sample`, has few of them, of few classes, and networks
# whose weights were mostly stored as 8-bit numbers. A rank correlation over ten classes says
# little: one class more or less may turn its sign. So **this notebook describes, and gives no
# verdict**.
#
# To measure all of ImageNet's, get its validation images from
# [image-net.org](https://image-net.org)
# (for non-commercial research), put one folder a class, and execute
# `study run 12 --profile imagenet-sample -p images=folder:PATH`, with weights where
# [params/](../params/README.md) says and `top1` as known for them.

# %%
import numpy as np
import pandas as pd
import torch
from timm.data import ImageNetInfo

from lib import data, measure, models, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import diversity
from study import claims, provenance, verdicts

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
]  # name: see lib.models; for images torchvision:NAME or timm:NAME
top1: list[float] = [0.0]  # share: known, for images one a network
family: str = "mlp"  # name: part of those that differ in width alone
feature_network: str = "cnn-8"  # name: gives features for diversity
num_pairs: int = 300  # paths: within classes, and as many between classes
num_points: int = 64  # points: on a path of median length
dataset: str = "digits"  # name: of own networks, see lib.data
seed: int = 0  # seed: of own networks
num_epochs: int = 20  # epochs: of own networks
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: own networks' paths join
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
finding = "F10" if images else "12"  # stand-ins say nothing of the paper's finding
whose = f"Networks trained on {dataset}, standing in for ImageNet's"
whose = "ImageNet networks" if images else whose
print(whose, "" if images else "(no folder of ImageNet photos is given)")

# %% [markdown]
# ## The networks
#
# Each pretrained network sees images as its own configuration says: size, interpolation, mean,
# standard deviation. One nu is one unit of L2 norm in the pixels *it* gets, so the spacing is set
# by the number of points on a path of median length, and the cutoff is .05 cycles a spacing: the
# same share of a path for every network. A path is at least two periods of the cutoff long.

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


def distinct_weights(network) -> float:
    """Different numbers in a layer of over 1,000 weights, the median: 8 bits make 256 at most."""
    large = [weights for weights in network.parameters() if weights.numel() > 1000]
    return float(np.median([torch.unique(weights).numel() for weights in large]))


# %%
rows, measurements, within = [], {}, []
for name, network, its_images, known in pretrained_networks() if images else own_networks():
    protocol = measure.default_protocol(its_images, num_pairs, num_points)
    measurement = measure.measure(network, its_images, protocol, device, progress=True)
    short = name.partition(",")[0].rpartition(":")[2]
    measurements[short] = measurement
    within.append(diversity.within_classes(measurement, its_images).assign(network=short))
    row = {"network": short, "parameters": models.num_parameters(network)}
    row |= {"distinct_weights": distinct_weights(network), "images": len(its_images.x_test)}
    row |= {"classes": its_images.y_test.unique().numel(), "known": known}
    rows.append(row | {"spacing": protocol.spacing, "cutoff": protocol.cutoff})
    if name == feature_network:
        diverse = diversity.of_classes(its_images, diversity.features(network, its_images))
        left_out, classes = short, its_images.num_classes
within = pd.concat(within, ignore_index=True)

# %% [markdown]
# A network whose weights or preprocessing were wrong would still give numbers. So its top-1
# accuracy comes first, beside the one that is known for it (parameter `top1`). Known of these very
# photos, as the shipped profile's, it should agree to the last image (images_apart below 1); known
# of ImageNet's 50,000, within the sampling error of these, which is what is claimed below.

# %%
overview = pd.DataFrame(rows)
overview["top1"] = [one.network["accuracy"][0] for one in measurements.values()]
overview["images_apart"] = (overview["top1"] - overview["known"]).abs() * overview["images"]
overview["standard_error"] = (overview["top1"] * (1 - overview["top1"]) / overview["images"]) ** 0.5
eight_bits = overview.loc[overview["distinct_weights"] <= 256, "network"].tolist()
print(f"{overview['images'][0]} images of {overview['classes'][0]} classes.")
print(f"At most 256 different weights a layer, as 8 bits have: {', '.join(eight_bits) or 'none'}.")
overview.round(4)

# %% [markdown]
# ### Power above f
#
# The networks are compared along paths that all of them were given (which of the nearest images are
# too close depends a little on each network's normalisation) and whose two ends all of them
# classify correctly.

# %%
ends = ["kind", "a", "b"]
same = None
for one in measurements.values():
    index = pd.MultiIndex.from_frame(one.paths[ends])
    same = index if same is None else same.intersection(index)
shared = []
for one in measurements.values():
    paths = one.paths.set_index(ends).loc[same].sort_index().reset_index()
    shared.append(one._replace(paths=paths))
each = [{"model": short, "seed": seed, "key": short, "epoch": 0} for short in measurements]
summary = measure.compare(each, shared)
counts = summary[summary["included"]].groupby("kind")["num_paths"].min()
matched = ", ".join(f"{count} {kind} classes" for kind, count in counts.items())
matched = f"Matched paths: {matched}."
print(matched, measure.left_out(summary, "model"))

# %% tags=["slide"]
spectra = measure.spectra(summary, cutoff=1.0)  # in multiples of each network's own
options = {"legend": "network", "title": whose}
grid = plots.power_above(spectra, "model", **options)
grid.figure.texts[-1].set_text(f"{matched} A curve a network; dashed: the floor.")
grid = grid.set_axis_labels("f (in cutoffs)", "power above f")

# %%
columns = ["test_accuracy", "num_paths", "hff", "changes", measure.PRIMARY, "power_per_change"]
columns += ["jacobian_norm"]
summary.set_index(["kind", "model"])[columns].sort_index().map("{:.3g}".format)

# %% [markdown]
# ### Diversity
#
# * **mean pixel distance**: L2, between two images of the class;
# * **mean feature distance**: L2, between what another network's last layer reads at them;
# * **log-volume** of the covariance of the class's pixels: mean logarithm of its eigenvalues;
# * **intrinsic dimension**: the participation ratio of those eigenvalues.
#
# A class's frequency is its mean rank over the networks, from 0, the lowest of the classes, to 1;
# the network that gives the features is left out. HFF is over all its paths, power over those whose
# two ends the network classifies correctly; a network without such a path, or at the floor, gives
# the class no rank: such a class is drawn as an open circle.

# %%
tested, columns = within[within["network"] != left_out], ["hff", measure.PRIMARY, "power_logits_1"]
ranks = {column: [] for column in columns}
for _, paths in tested.groupby("network"):
    floors = [column for column in paths if column.startswith("floor_")]
    names = [name.replace("floor", part) for name in floors for part in ("floor", "power", "share")]
    means = pd.DataFrame({name: diversity.by_class(paths, name) for name in ("hff", *names)})
    for column in columns:
        rank = claims.without_floor(means)[column].rank()
        ranks[column].append((rank - 0.5) / rank.count())
for column in columns:
    diverse[column] = pd.concat(ranks[column], axis=1).mean(axis=1)
without = pd.concat(ranks[measure.PRIMARY], axis=1).isna().sum(axis=1).rename("networks without")

# %%
correct = tested[tested["correct"]].groupby(["label", "network"]).size()
fewest = correct.unstack(fill_value=0).min(axis=1).reindex(diverse.index, fill_value=0)
named = [str(label) for label in diverse.index]
if classes == 1000:
    named = [ImageNetInfo().index_to_description(label).split(",")[0] for label in diverse.index]
diverse.insert(0, "class", named)
diverse.join([fewest.rename("fewest correct paths"), without]).round(2)

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 12.1 (predict)
#
# Four measures of diversity against frequency within classes, by two measures of frequency. Before
# you look: with this many classes, how large a rank correlation would you expect by chance alone?
# Which panels would you expect to agree with each other?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The standard deviation of a rank correlation without any relation is $1 / \sqrt{n - 1}$ over $n$
# classes.
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Over ten classes chance alone gives correlations of a third either way, so a panel with .3 says
# nothing, and of eight panels one may well show .6. Panels of one diversity agree as far as the two
# measures of frequency do; measures of diversity need not agree with each other at all. So the
# figure can't decide anything at this size, and it is good to have said so before seeing a panel
# that looks convincing.
#
# </details>


# %%
def draw_classes(ax, kind: str, column: str) -> None:
    """A point a class, open where a network is without; beside it, towards the middle, its name (of
    the first twenty classes)."""
    plots.sns.scatterplot(diverse, x=kind, y=column, color="C1", ax=ax)
    some = diverse[pd.concat(ranks[column], axis=1).isna().any(axis=1).reindex(diverse.index)]
    ax.plot(some[kind], some[column], "o", color="C1", mfc="white")
    for called, *place in diverse[["class", kind, column]][:20].itertuples(index=False):
        right = place[0] > diverse[kind].agg(["min", "max"]).mean()
        options = {"ha": "right" if right else "left", "textcoords": "offset points"}
        options |= {"fontsize": 8, "color": "dimgray"}
        ax.annotate(called, place, (-4 if right else 4, 3), **options)


# %% tags=["slide"]
labels = {"hff": "HFF, all paths", measure.PRIMARY: "power out of band, softmax"}
shape, num_tested = (len(labels), len(diversity.DIVERSITIES)), tested["network"].nunique()
figure, axes = plots.plt.subplots(*shape, figsize=(15, 7), sharex="col", sharey="row")
for line, (column, label) in zip(axes, labels.items(), strict=True):
    for ax, (kind, title) in zip(line, diversity.DIVERSITIES.items(), strict=True):
        draw_classes(ax, kind, column)
        rho = stats.rank_test(diverse[kind], diverse[column]).estimate
        ax.set(xlabel=title, ylabel=f"{label}\n(mean rank, up to {num_tested} networks)")
        ax.set_title(f"rho {rho:.2f}", fontsize="small")
        ax.locator_params(axis="x", nbins=5)
title = f"{whose}: diversity against frequency within classes, {len(diverse)} classes"
counted = f"{fewest.min()} to {fewest.max()} correct paths a class, of the network with the fewest"
figure.suptitle(f"{title}\n{counted}", fontsize="medium")
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# None is primary. Top-1 of pretrained networks is compared with what is known (of a stand-in
# nothing else is known), and of every network the fall of power with frequency with that of white
# noise, of whose power above the cutoff two thirds lie above 4 times it; the rest is described:
# width, over the networks of one family; diversity, over classes.

# %%
claimed = []
for row in overview.itertuples() if images else ():
    statement = f"top-1 of {row.network}: away from the known one, in standard errors"
    distance = abs(row.top1 - row.known) / row.standard_error
    claimed.append(claims.exact(finding, statement, distance, "< 1", 1))
steps = summary.set_index(["kind", "model"])
falls = steps["power_logits_4"] / steps["power_logits_1"]
statement = "power of the logits above 4 cutoffs over that above 1, the greatest"
claimed.append(claims.exact(finding, statement, falls.max(), "< 0.6", 3))
sizes = overview.set_index("network")["parameters"]
of_family = claims.without_floor(summary[summary["model"].str.contains(family)])
for kind in measure.KINDS:
    rows = of_family[of_family["kind"] == kind]
    for column, label in labels.items():
        effect = stats.rank_test(rows["model"].map(sizes), rows[column])
        statement = f"{kind} classes, {label}, with the width of {family}"
        text = f"rho {effect.estimate:.2f} over {effect.n} networks"
        claimed.append(claims.described(finding, statement, effect, text))

# %%
# NBVAL_CHECK_OUTPUT
names = labels | {"power_logits_1": "power out of band, logits"}
for kind, title in diversity.DIVERSITIES.items():
    for column, label in names.items():
        effect = stats.rank_test(diverse[kind], diverse[column])
        statement = f"within classes, {label}, with {title}"
        text = f"rho {effect.estimate:.2f} over {effect.n} classes"
        claimed.append(claims.described(finding, statement, effect, text))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(f"{whose}, {len(overview)} of them; {len(diverse)} classes. No verdict is given here.")
for kind in measure.KINDS:
    least, most = falls[kind].min(), falls[kind].max()
    words = "of the power of standardised logits above the cutoff"
    print(f"{kind} classes: {least:.1%} to {most:.1%} {words} lies above 4 times it.")
place = torch.linspace(-1, 1, num_points, dtype=torch.float64)
for called, curve in {"step": place > 0, "kink": place.abs()}.items():
    power = measure.out_of_band_curve(curve.double()[None, :, None], 1.0, [0.05, 0.2])[0]
    print(f"For comparison, of a {called}: {power[1] / power[0]:.1%}.")
print(f"rank correlations with {len(diversity.DIVERSITIES)} measures of diversity, least to most:")
for column, label in names.items():
    rho = [stats.rank_test(diverse[one], diverse[column]).estimate for one in diversity.DIVERSITIES]
    print(f"  within classes, {label}: {min(rho):.2f} to {max(rho):.2f}")

# %% [markdown]
# ## What to make of it
#
# Power above a frequency can only fall with it; how steeply is what tells a function of low
# frequencies from noise. Of white noise, about two thirds of the power above .05 cycles a spacing
# lie above four times that. But little else is ruled out: a single step, which has every frequency,
# passes as well, and a single kink, as of one ReLU, falls about as these networks do (both printed
# above). And what a trained network is says nothing of what it learned first.
#
# HFF over all paths rises with the share of paths on which the prediction changes, and it changes
# where a class is hard: a diverse class may just be a hard one (confidence moves HFF, too). Along
# paths with correct ends that is taken away in part.
#
# Classes differ in more than diversity, and networks that share an architecture, or photos, are
# not independent. What is seen here is about these classes and these networks.

# %% [markdown]
# ## Exercises
#
# Exercise 12.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 12.2 (implement)
#
# Write the intrinsic dimension used here, the participation ratio of the eigenvalues of the
# covariance: $\bigl(\sum \lambda\bigr)^2 / \sum \lambda^2$.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `np.linalg.eigvalsh` of `np.cov(points.T)`; or no eigenvalues at all: traces of the covariance and
# of its square.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy


def participation_ratio(points):
    """About how many directions points (n, d) spread along, 1 to d."""
    # the covariance over points, then its eigenvalues
    ### BEGIN SOLUTION
    eigenvalues = numpy.linalg.eigvalsh(numpy.cov(points, rowvar=False))
    return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    ### END SOLUTION


# %% tags=["check"]
normal = numpy.random.default_rng(0).normal(size=(20_000, 6))
found = participation_ratio(normal)
assert numpy.isclose(found, 6, rtol=0.02), f"equal spread along six directions: 6, not {found}"
found = participation_ratio(normal[:, :1] * numpy.ones((1, 6)))
assert numpy.isclose(found, 1), f"a line in six dimensions: 1, not {found}"
found = participation_ratio(3 * normal * [1, 1, 1e-3, 1e-3, 1e-3, 1e-3] + 7)
assert numpy.isclose(found, 2, rtol=0.02), f"two directions, shifted and scaled: 2, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 12.3 (vary)
#
# Over how many classes is a rank correlation of .5 told from 0 nine times out of ten? Vary the
# number of classes in a simulation.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Draw pairs with a correlation of .5, and compare with the 95 % quantile of pairs without one.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
rng = np.random.default_rng(0)
for count in (10, 20, 40, 80):
    x, noise = rng.standard_normal((2, 2000, count))
    seen = stats.rank_correlation(x, 0.5 * x + 0.75**0.5 * noise)
    chance = stats.rank_correlation(x, noise)
    told = (np.abs(seen) > np.quantile(np.abs(chance), 0.95)).mean()
    print(f"{count} classes: {told:.0%}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# About forty. With ten a relation of that size is missed most of the time, and what *is* found is
# too large, since only large correlations pass. More photos a class would not help: the claim is
# over classes. This is why the notebook describes and gives no verdict. Twelve conditions, the
# least that any verdict of this study rests on, keep false findings at their rate; they do not find
# what is small.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 12.4 (think)
#
# How much of a class's HFF over all paths is its error? Rank-correlate the two over classes and
# networks, and say what that makes of "diverse classes have a higher frequency".

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Group `tested` by network and label.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
by_class = tested.groupby(["network", "label"])
errors = 1 - by_class["correct"].mean()
correlation = stats.rank_correlation(errors, by_class["hff"].mean())
print(f"rank correlation of wrong ends and HFF: {correlation:.2f}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# If HFF goes with the error that closely, a class of high HFF is a hard class. Diverse classes tend
# to be hard, so HFF would go with diversity even if no function had a higher frequency anywhere.
# The published relation and this one may have the same cause. Paths with correct ends take away the
# trivial part of it.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 12.5 (think)
#
# Do the measures of diversity agree on which classes are diverse? If they do not, what does it mean
# to confirm that "more diverse classes" have something?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `diverse` has a column a measure.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
diverse[list(diversity.DIVERSITIES)].corr(method="spearman").round(2)

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Distance says how far images lie apart, dimension along how many directions they do: a class may
# spread far along one. Where such measures disagree, "diverse" is no single thing, and a claim
# about it is several claims. Choosing the one that fits after seeing all four is a way to find
# anything. The paper's own measure isn't known; so all are shown, and none is preferred.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
used = str(runs.resolve_device(device))
provenance.record(claimed, trained, globals(), measured_on=used, opened=trained)
