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
# # Do larger networks learn high frequencies faster, and do better architectures follow the trend?
#
# > **You will be able to** compare networks of different size and kind fairly; take locality and
# > weight sharing apart; read a rank correlation over families for what it says.
# >
# > **You need** notebooks [02](02_noise_fitting.ipynb) and [03](03_training_time.ipynb).
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [gain](glossary.md#gain), [dose](glossary.md#dose), [rank
# > correlation](glossary.md#rank-correlation), [permutation test](glossary.md#permutation-test);
# > all of them, and the [columns of tables](glossary.md#columns-of-tables), in the
# > [glossary](glossary.md).

# %% [markdown]
# **Finding F3.** The paper reports that larger networks learn high frequencies faster, and that
# across architectures better accuracy goes with higher function frequency between classes and lower
# frequency within.
#
# Two experiments. Over the **width** of one family, a label wave
# ([notebook 02](02_noise_fitting.ipynb)). How fast it is learned is its **mean gain** over the
# evaluated epochs $e$, beyond a control of the same width and seed with evenly smoothed labels,

# %% [markdown]
# $$G = \frac{1}{\#e} \sum_e \text{gain}_e , \qquad
#   \text{gain}_e = \text{slope of } p_y^\text{wave} - p_y^\text{control}
#   \text{ on the noisy label } \tilde y_y ,$$
#
# 0 where nothing of the wave is learned, 1 where all of it was from the first epoch on: one slope
# of $G$ on the logarithm of the number of parameters a seed.
#
# Over **families** of networks with clean labels, the power of the softmax out of band along paths
# between test images ([notebook 03](03_training_time.ipynb)) against test accuracy. Three kinds of
# family take away first sharing, then locality: a small CNN; the same connections with weights that
# are not shared (locally connected, so of more parameters); and an MLP, with neither (and of other
# depth and width).

# %%
import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from lib import data, measure, models, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import accuracy, conditions
from study import claims, designs, networks, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each, of the widths
widths: list[str] = ["mlp-3-16", "mlp-3-32", "mlp-3-64", "mlp-3-128"]  # name: with a wave
frequency: float = 0.9  # cycles/nu: of a wave of a bit over two periods, fitted in part
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
wave_epochs: int = 20  # epochs: of runs with a wave, and of their controls
wave_augmentation: str = "none"  # name: theirs; best one that leaves norms as they are
families: list[str] = [
    "mlp-2-64",
    "mlp-3-16",
    "mlp-3-128",
    "mlp-4-64",
    "mlp-5-64",
    "cnn-4",
    "cnn-8",
    "local-4",
    "local-8",
    "resnet8-4",
    "vgg11-4",
    "vit-1-16",
    "mixer-1-16",
]  # name: of networks measured along paths, 12 or more for a verdict
family_seeds: list[int] = [0, 1]  # seed: of the families, whose claims are over families
others: list[str] = ["none"]  # name: networks that others trained, or none
other_pairs: int = 300  # paths: theirs, which are measured anew every time
num_epochs: int = 20  # epochs: of every other run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
num_pairs: int = 300  # paths: within classes, and as many between classes
spacing: float = 0.05  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: the lowest; power is also measured above 2 and 4 times it
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
common = TrainingConfig.fields_in(parameters, but=("amplitude", "frequency"))
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))

# %% [markdown]
# ## The experiment
#
# Every width with a wave has a control of its own. Where the wave is too slow for its range of
# norms, below one period, it would take part in no verdict. Its frequency is this study's choice,
# not the paper's: a wave of about two periods, to be fitted in part, so that a width can fit more
# of it or less. It was chosen in pilots, on digits with seeds that are not among the study's. So
# were the families of digits: among more candidates, of which one seed's cost, accuracy and power
# were seen, and for being clear of the measure's floor; those of `cifar10-cpu` for being of many
# kinds, of which one seed's cost and accuracy were seen. They are a chosen set, and the claims are
# about that set.

# %%
images, sizes = data.load(dataset, num_test), {}
for name in dict.fromkeys([*widths, *families]):
    network = models.build(name, images.image_shape, images.num_classes)
    sizes[name] = models.num_parameters(network)
overview = pd.DataFrame({"parameters": sizes})
overview["with a wave"] = [len(seeds) * (name in widths) for name in sizes]
overview["controls"] = overview["with a wave"]
overview["measured along paths"] = [len(family_seeds) * (name in families) for name in sizes]
overview

# %%
noisy = {"wave": "radial", "frequency": frequency, "amplitude": amplitude}
noisy |= {"num_epochs": wave_epochs, "augmentation": wave_augmentation}
by_width = conditions.by_family(common | noisy, widths, seeds).values()
controls = [config.control() for config in by_width]
by_family = conditions.by_family(common, families, family_seeds).values()
trained = runs.sweep([*by_width, *controls, *by_family], device)

# %% [markdown]
# ## Width: how fast is the wave learned?

# %% tags=["slide"]
fits = measure.fitting(by_width).assign(size=lambda rows: rows["model"].map(sizes))
nulls = measure.null(by_width).assign(size=lambda rows: rows["model"].map(sizes))
waves = measure.wave_summary(fits, ["model", "size", "seed"])
print(f"{waves['periods'].iloc[0]:.2g} periods across the 1-99 % range of the norm")

labels = {"xlabel": "epoch", "ylabel": "gain (0: no wave, 1: fitted)", "legend": "parameters"}
labels["title"] = f"Gain of the wave of {frequency:g} cycles/nu, by width"
ax = plots.over_seeds(fits, "epoch", "gain", "size", marker="", **labels)
plots.null_band(ax, measure.null_band(nulls, ["epoch"]), "epoch")
legend = ax.legend(title="parameters", **plots.SMALL, **plots.BESIDE)

# %%
published = ("Published: minimum noise fitting", "minimum noise fitting (nats)")
gained = ("Mean gain over training (0: no wave, 1: fitted)", "mean gain")
panels = [(waves, "min_noise_fitting", *published), (waves, "mean_gain", *gained)]
axes = plots.row(panels, "size", xlabel="number of parameters, over widths", logx=True)
plots.null_band(axes[1], measure.null_band(nulls, ["size"]), "size")
legend = axes[1].legend(loc="upper left", **plots.SMALL)

# %%
columns = ["test_accuracy", "mean_gain", "final_gain", "min_noise_fitting", "beyond_control"]
waves.groupby(["size", "model"])[columns].mean().round(3)

# %% [markdown]
# A wider network learns everything sooner, the classes too. So here is the gain at equal accuracy:
# when a run first reaches a share of the test accuracy that the least accurate width of its seed
# ends at (between two evaluated epochs on the line through them). A run that begins above it has
# none, so that a mean may be over fewer seeds (counted), or missing, and the claim is then not
# testable. At 100 % the smallest is near its end, the others earlier, at a higher learning rate.

# %%
rows = []
for (seed, size), run in fits.groupby(["seed", "size"]):
    so_far = run["test_accuracy"].cummax()  # rises, as interpolation needs
    for share in (0.8, 0.9, 1.0):
        level = share * waves.loc[waves["seed"] == seed, "test_accuracy"].min()
        found = [np.interp(level, so_far, run[column], np.nan) for column in ("epoch", "gain")]
        rows.append((f"{share:.0%}", size, seed, level, *found))
columns = ["share", "size", "seed", "accuracy", "reached at epoch", "gain"]
equal = pd.DataFrame(rows, columns=columns)
groups = equal.groupby(["share", "size"], sort=False)
groups.mean().assign(seeds=groups["gain"].count()).drop(columns="seed").round(3)

# %% [markdown]
# ## Families: what goes with accuracy?
#
# Families are compared along matched paths only: those whose two ends all of them classify
# correctly.

# %%
summary = measure.sweep(by_family, protocol, device)
print(measure.matched_counts(summary))
print(measure.left_out(summary, "model"))

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 4.1 (predict)
#
# From CNN to locally connected to fully connected, weight sharing goes first, then locality. Before
# you run the next cells: does the power between classes rise or fall along this axis, and is it the
# same for the softmax and for the logits?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# What may a fully connected network do that a CNN can't? And which of them is the surest of its
# answers?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Two lines of reasoning lead to opposite predictions, which is the point. A fully connected network
# is free to draw any function of the pixels, fast ones too, so its power could be higher. But a
# function that shares its weights can turn sharply at small features, and a more accurate network
# is surer, which sharpens its softmax. Logits in units of their own spread take confidence away,
# and leave the shape. Nothing says that power goes one way along the axis: the network in the
# middle may be the smoothest. Also look at how far networks of one kind lie apart, where there are
# several, before you call anything an effect of the kind.
#
# </details>

# %% tags=["slide"]
title = f"One point a family: mean (power: geometric) and range, {len(family_seeds)} seeds"
axes = accuracy.against_accuracy(summary, "model", cutoff, title)

# %%
columns = ["test_accuracy", "num_paths", "effective_paths", "hff", "changes", "power_per_change"]
columns += ["power_softmax_1", "power_median", "power_logits_1"]
table = summary.groupby(["kind", "model"])[columns].mean()
table.sort_values(["kind", "test_accuracy"]).map("{:.3g}".format)

# %% [markdown]
# Which paths make the correlation? The rank correlation with accuracy of HFF over all and over the
# matched paths, and of the power of matched paths by how they are summed up: their mean, the mean
# without a share of each network's paths, those of most power, their median. For all families, and
# for the better half, those at or above the median accuracy, matched anew among themselves.
# Families at the floor are left out of a row; the last says how many stand in each. (Over seeds,
# means of power are geometric here and in the figure, arithmetic in the table above.)

# %%
mean_accuracy = summary.groupby("model")["test_accuracy"].mean()
better = [name for name in families if mean_accuracy[name] >= mean_accuracy.median()]
included = set(summary.loc[summary["included"], "model"])
of_families = [config for config in by_family if config.model in included]
paths = {c: measure.read_measurement(runs.find(c), num_epochs, protocol).paths for c in of_families}
halves = {"all": families, f"better {len(better)}": better}
by_summary = {}
for name, some in halves.items():
    chosen = {config: path for config, path in paths.items() if config.model in some}
    by_summary[name] = accuracy.by_summary(chosen, mean_accuracy)
pd.concat(by_summary, names=["of", "paths"]).map("{:.2g}".format).T

# %% [markdown]
# Locality and weight sharing as an axis: the CNNs, the same networks with weights of their own at
# every position, and MLPs (of one kind there may be several widths, or seeds of one).

# %% tags=["slide"]
axis = {"cnn": "CNN", "local": "locally\nconnected", "mlp": "fully\nconnected"}
family = summary["model"].str.split("-").str[0]
on_axis = summary.assign(sharing=family.map(axis)).query("included").dropna(subset="sharing")
points = {"x": "sharing", "order": list(axis.values()), "jitter": 0.15, "dodge": True}
points |= {"hue": "kind", "palette": plots.KIND_COLOURS}
figure, panels = plt.subplots(1, 2, figsize=(11, 4))
for ax, (output, title) in zip(panels, measure.OUTPUTS.items(), strict=True):
    power, floor = (measure.column(name, output, 1) for name in ("power", "floor"))
    sns.stripplot(on_axis, y=power, size=5, ax=ax, **points)
    sns.stripplot(on_axis, y=floor, marker="_", linewidth=1, legend=False, ax=ax, **points)
    ax.set(title=f"Power of the {title}", ylabel=f"power above {cutoff:g} cycles/nu")
    ax.set(xlabel="one point a network; dashes: its floor", yscale="log")
    ax.get_legend().remove()
panels[-1].legend(title="path", **plots.SMALL, **plots.BESIDE)
figure.suptitle(measure.matched_counts(summary), fontsize="medium")
figure.tight_layout()

# %% [markdown]
# ## Depth and ordinary accuracy: networks that others trained
#
# Do networks of ordinary accuracy show what the better half of these small ones does? Networks that
# somebody else trained on the same images go along the paths of the first seed here, one network a
# depth: for `cifar10-cpu` [those of Y.
# Idelbayev](https://github.com/akamaster/pytorch_resnet_cifar10), [loaded
# so](../params/README.md#networks-of-your-own), which his code trains for 200 epochs with crops and
# flips and two steps of the learning rate. Each sees images as it was trained to; a nu stays one
# unit of *this* study's pixels. One network each, and what differs between two of them is more than
# depth (and between theirs and these, epochs and schedule and how sure the softmax is): this is
# described, with intervals over images, and not judged. The figure is over the paths that all of
# them get right; the table over each network's own. (`cifar10-cpu` shows that means of power go on
# rising from the best of ours to theirs, and HFF within on falling; among the four no trend of the
# means is clear, but within classes the median path falls with depth, 44-fold in all. Without
# parameter `others` nothing is shown.)

# %%
few = dataclasses.replace(protocol, num_pairs=other_pairs)
own_pairs = measure.of_seed(few, family_seeds[0])
theirs = {}
for name in others:
    if name != "none":
        network = networks.own(name, images)
        short = f"{name.partition(',')[0]}, others'"
        theirs[short] = measure.measure(network, images, own_pairs, device)
print(f"Networks of others: {', '.join(theirs) or 'none given (parameter others)'}.")

# %%
if theirs:
    ours = [c for c in by_family if c.seed == family_seeds[0] and c.model in better]
    measure.sweep(ours, few, device)  # kept in the store, as theirs are not
    kept = [measure.read_measurement(runs.find(config), num_epochs, few) for config in ours]
    models_of = [*(config.model for config in ours), *theirs]
    who = [{"model": name, "seed": 0, "key": name, "epoch": num_epochs} for name in models_of]
    beside = measure.compare(who, [*kept, *theirs.values()])
    title = "The better half of the families (one seed), and networks that others trained"
    accuracy.against_accuracy(beside, "model", cutoff, title)

# %%
shown = {"hff": "HFF, all paths", measure.PRIMARY: "power, softmax, its correct paths"}
shown["power_logits_1"] = "power, logits, its correct paths"
lines = []
for name, measurement in theirs.items():
    of_one = measure.intervals(measurement).set_index(["measure", "kind"]).loc[list(shown)]
    numbers = of_one[["estimate", "low", "high"]].itertuples(index=False)
    told = ["{:.3g} [{:.3g}, {:.3g}]".format(*row) for row in numbers]
    head = {"network": name, "test accuracy": f"{measurement.network['accuracy'][0]:.4f}"}
    keys = [f"{shown[column]}, {kind}" for column, kind in of_one.index]
    correct = measurement.paths[measurement.paths["correct"]]
    middle = correct.groupby("kind")[
        [measure.PRIMARY, measure.column("floor", "softmax", 1)]
    ].median()
    for kind in measure.KINDS:
        head[f"median path, {kind}"] = "{:.3g} (floor {:.1g})".format(*middle.loc[kind])
    lines.append(head | dict(zip(keys, told, strict=True)))
pd.DataFrame(lines).set_index("network").T if lines else None

# %% [markdown]
# ## Claims
#
# Over widths each seed gives one slope, its interval Student's over seeds, told for a doubling of
# the number of parameters. Over families there is no dose: the claims are rank correlations with
# accuracy over the families' means, tested by permuting families. Families of one kind, as two
# widths of a CNN, are alike, which such a test does not know: at a nominal 5 % it decides more
# nulls than that. So the correlation over the means of kinds (what comes before the sizes in a
# name; all residual networks are one) is described beside it; they are too few for a verdict.

# %%
# NBVAL_CHECK_OUTPUT
over_widths = designs.over_doses("size", "the number of parameters")
claimed = [claims.over_waves("F3", waves, over_widths)]
claimed += claims.over_paths("F3", summary, designs.with_accuracy())
statement = "under the wave, test accuracy over widths"
claimed.append(claims.described("F3", statement, *over_widths(waves, "test_accuracy")))
claimed.append(claims.described("F3", "last gain over widths", *over_widths(waves, "final_gain")))
for share, rows in equal.groupby("share", sort=False):
    statement = f"gain at {share} of the least accurate width's accuracy"
    claimed.append(claims.described("F3", statement, *over_widths(rows, "gain")))
cleared = claims.without_floor(summary[summary["included"]]).dropna(subset=measure.PRIMARY)
residual = dict.fromkeys(["resnet", "resnet8", "wrn", "shakeshake", "pyramidnet"], "residual")
by_kind = cleared.assign(condition=cleared["model"].str.partition("-")[0].replace(residual))
for kind, rows in by_kind.groupby("kind"):
    found = designs.with_accuracy()(rows, measure.PRIMARY)
    claimed.append(claims.described("F3", f"{kind} classes, over kinds of family", *found))
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
# The mean gain is never censored: a wave that is only half learned when training ends has a mean
# gain, while its dip may still be to come. Compare the gain with the null band: what lies inside is
# what two controls of different seeds also show, without any wave. And compare the last gains with
# those at equal accuracy. Where both rise with width, a wider network has learned more of the wave
# by the time it knows the classes equally well; where only the last ones do (on digits, whose gains
# at equal accuracy hardly leave the null band), speed on the wave cannot be told from speed on
# everything. The published minimum falls with width because wider networks know the classes better;
# less the control's it does not.

# %% [markdown]
# **Along paths.** A mean may rise with accuracy while the median falls: typical paths grow flat
# and a few grow steep, and either sentence alone is half of it. That is so within classes on
# CIFAR-10: without the top tenth of its paths the mean no longer rises clearly, and over the better
# half of the families the median falls throughout. HFF within falls there along the matched paths
# as well as along all, so matching is not the reason: HFF hardly weighs how steep the few are. On
# digits a mean within rests on a few paths in effect, and the scoreboard, which counts all claims
# together, leaves the claim open. Standardised logits of most families have nearly as much power
# within classes as between on CIFAR-10: a roughness that does not depend on a change of class.
#
# The width experiment changes width and what goes with it (weights are smaller at the start;
# another learning rate might be best); the comparison of families changes everything at once, and
# accuracy is only the name of its horizontal axis. Families that are closer in accuracy than their
# seeds are ranked by noise, and a correlation over families says nothing about what would happen to
# any one of them if it were made better.

# %% [markdown]
# ## Exercises
#
# Exercise 4.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 4.2 (implement)
#
# The dose of the width experiment is the number of parameters. Write it for a multilayer perceptron
# of some depth and width, with biases in every layer.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A layer from $m$ to $n$ units has $mn$ weights and $n$ biases. `mlp-3-128` has three hidden
# layers.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import itertools


def mlp_parameters(inputs, depth, width, classes):
    """The number of weights and biases of a perceptron with `depth` hidden layers."""
    # one layer in, depth - 1 between, one out
    ### BEGIN SOLUTION
    units = [inputs, *[width] * depth, classes]
    return sum((below + 1) * above for below, above in itertools.pairwise(units))
    ### END SOLUTION


# %% tags=["check"]
from lib import models

for name_of_mlp, its_depth, its_width in (("mlp-1-16", 1, 16), ("mlp-3-128", 3, 128)):
    right = models.num_parameters(models.build(name_of_mlp, (1, 8, 8), 10))
    found = mlp_parameters(64, its_depth, its_width, 10)
    assert found == right, f"{name_of_mlp} on images of 64 pixels: {right}, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 4.3 (vary)
#
# Vary what "fast" means. Is a wave that is learned *early* also one that is learned *far*? Compare,
# for each width, the epoch at which the gain reaches half of its last value.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A table of the mean gain, a row a size and a column an epoch, and `idxmax` along it.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
gains = fits.groupby(["size", "epoch"])["gain"].mean().unstack()
print((gains.ge(gains.iloc[:, -1] / 2, axis=0)).idxmax(axis=1).rename("half of the last gain at"))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Half of its own last value is a relative mark: a network that fits little of a wave may reach half
# of that little early. So "learns it sooner" and "learns more of it" are different orders, and a
# mean over training holds both. And a network whose gain hardly leaves the null band reaches half
# of it by chance. Say which one a finding claims before choosing the measure; "faster" in the
# paper's words can be either.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 4.4 (think)
#
# Which family has the smoothest logits along paths between classes? Is it the one with the fewest
# parameters? What does that say of counting parameters as a measure of complexity?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `power_logits_1` in `summary`, sorted, beside `sizes`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
between = summary[summary["kind"] == "between"]
power = between.groupby("model")["power_logits_1"].mean().sort_values()
print(pd.DataFrame({"power of logits": power, "parameters": power.index.map(sizes)}))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A count of parameters says how many functions a network could draw, not which one training finds.
# If the order by power is not that by parameters, the architecture and training choose. That the
# smoothest is the smallest would not show that size makes it so: look at the second and third.
# Within one kind, where there are several widths, the two orders might still agree: do they here?
# To claim a relation one has to vary the number alone: that is why the width experiment stays
# within one family.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 4.5 (think)
#
# Does accuracy rank the families in the same order for every seed? What would a low correlation of
# two seeds' rankings mean for the claims over families?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A pivot of `test_accuracy`, models by seeds, then `corr("spearman")`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
accuracies = between.pivot(index="model", columns="seed", values="test_accuracy")
print(accuracies.corr("spearman").round(2))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The horizontal axis of the claim is accuracy, measured with noise: where families are of nearly
# the same accuracy, a few test images decide between them. Noise in it that power does not share
# pulls a rank correlation towards 0, so an inconclusive claim may be for want of a spread of
# accuracies. A correlation between seeds near 1 takes that excuse away. Permuting families, not
# networks, is the least that is needed: two seeds of one family are not two families (nor are two
# widths quite).
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
