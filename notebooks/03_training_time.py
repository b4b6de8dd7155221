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
# # Does function frequency rise between classes, and fall within, as training goes on?
#
# > **You will be able to** follow one path, then the mean of hundreds, through training; tell more
# > transitions from sharper ones, and confidence from shape.
# >
# > **You need** [notebook 01](01_measuring_frequency.ipynb) up to its section 1.
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: core.
# >
# > **Words**: [path](glossary.md#path), [matched paths](glossary.md#matched-paths), [between and
# > within classes](glossary.md#between-and-within-classes), [power above
# > f](glossary.md#power-above-f), [class changes](glossary.md#class-changes),
# > [logits](glossary.md#logits); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F2.** Walk in a straight line from one test image to another and watch the network's
# output. Between two classes the output has to change; within a class it need not. The paper
# reports that, as training goes on, the function's frequency along paths **between** classes rises,
# and along paths **within** a class falls.
#
# A path from $x_0$ to $x_1$ is sampled every $\Delta$ nu (one nu is one unit of L2 norm in
# normalised pixels),
#
# $$x(t) = x_0 + t\,\frac{x_1 - x_0}{\lVert x_1 - x_0\rVert},
#   \qquad t = 0, \Delta, 2\Delta, \dots < \lVert x_1 - x_0\rVert ,$$
#
# and the softmax along it becomes one number, its **power out of band** $E(f_c)$: the mean square
# of what no function band-limited to the cutoff $f_c$ explains, summed over classes
# ([notebook 01](01_measuring_frequency.ipynb) builds it). The claims compare the last checkpoint
# with the first: $\ln\bigl(E_\text{last} / E_\text{first}\bigr)$, one value a seed.

# %%
import dataclasses
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from lib import data, measure, plots, runs, stats
from lib.parameters import StudyError, check_typed
from lib.training import TrainingConfig, checkpoint_epochs
from notebooks import live, touch
from notebooks.by_hand import same
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7]  # seed: one replication each
paths_compared: list[str] = [
    "linear",
    "slerp",
    "fourier_amplitude",
    "fourier_phase",
    "random_direction",
]  # name: kinds of path between two images, at the last epoch
num_epochs: int = 20  # epochs: of every run
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
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))

# %% [markdown]
# ## The experiment
#
# One run a seed. Each keeps its weights after 1, 2, 4, ... epochs and at the end; every kept
# network, and the untrained one (epoch 0), is measured along the paths that its seed draws.

# %%
configs = [TrainingConfig(**TrainingConfig.fields_in(parameters), seed=seed) for seed in seeds]
epochs = [0, *checkpoint_epochs(num_epochs)]
counts = {"networks": len(seeds), "paths within": num_pairs, "paths between": num_pairs}
pd.DataFrame({"epoch measured": epochs, **counts})

# %%
trained = runs.sweep(configs, device)
summary = measure.sweep(configs, protocol, device, epochs)

# %% [markdown]
# ## One path
#
# Before any mean, one path of one network: the first between two classes whose ends the trained
# network of the first seed classifies correctly (the first of all, if there is none).

# %% tags=["slide"]
images = data.load(dataset, num_test)
paths = measure.read_measurement(trained[0], num_epochs, protocol).paths
between = paths[paths["kind"] == "between"].sort_values("correct", ascending=False, kind="stable")
a, b = between.iloc[0][["a", "b"]].astype(int)
start, end = images.x_test[[a, b]].float()[:, None]
between_them = measure.PATHS["linear"](start, end, torch.linspace(0, 1, 7))

figure, axes = plt.subplots(1, 7, figsize=(11, 2))
for ax, image, share in zip(axes, between_them, np.linspace(0, 1, 7), strict=True):
    ax.imshow((image / images.x_test.max()).permute(1, 2, 0), cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], xlabel=f"{share:.0%}")
labels = images.y_test[[a, b]].tolist()
title = f"Test image {a} of class {labels[0]}, test image {b} of class {labels[1]}, and between"
suptitle = figure.suptitle(title)

# %% [markdown]
# What each of the kept networks says along this path, and the number that the path becomes. The
# number is summed over all classes; the curve is that of the class at the path's end.

# %%
path, curves, numbers = measure.join(images, [[a, b]], spacing), [], []
for epoch in epochs:
    network = configs[0].build()
    if epoch > 0:
        network.load_state_dict(trained[0].weights(epoch))
    [(_, logits)] = measure.outputs_along(measure.Forward(network, images, device), path)
    softmax = logits.softmax(-1)
    distance = spacing * np.arange(softmax.shape[1])
    curve = {"t": distance, "p": softmax[0, :, labels[1]].cpu(), "epoch": epoch}
    curves.append(pd.DataFrame(curve))
    power = measure.out_of_band_power(softmax, spacing, cutoff).item()
    floor = measure.floor(softmax, spacing, [cutoff]).item()
    numbers.append({"epoch": epoch, "power": power, "floor": floor})
curves, numbers = pd.concat(curves, ignore_index=True), pd.DataFrame(numbers)

# %% tags=["slide"]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
palette = sns.color_palette("viridis", len(epochs))
sns.lineplot(curves, x="t", y="p", hue="epoch", palette=palette, legend="full", ax=left)
left.set(title="The curve", xlabel="t (nu)", ylabel=f"softmax of class {labels[1]}")
left.legend(title="epoch", **plots.SMALL)
right.plot(range(len(epochs)), numbers["power"], "o-", label="power out of band")
right.plot(range(len(epochs)), numbers["floor"], "k--", lw=1, label="floor: of its cubic fit")
right.set(title="Its number", xlabel="epoch", ylabel=f"power above {cutoff:g} cycles/nu")
right.set(xticks=range(len(epochs)), xticklabels=epochs, yscale="log")
right.legend(**plots.SMALL)
figure.tight_layout()

# %% [markdown]
# ## From one path to the mean of hundreds
#
# ([Notebook 01](01_measuring_frequency.ipynb) builds the number of one path by hand.) Now every
# path that the first seed drew, under its trained network: one number each.

# %%
every_path = measure.join(images, paths[["a", "b"]].to_numpy(copy=True), spacing)
power = np.empty(len(paths))
for which, logits in measure.outputs_along(measure.Forward(network, images, device), every_path):
    softmax = logits.double().softmax(-1)
    power[which] = measure.out_of_band_power(softmax, spacing, cutoff).cpu()

# %% [markdown]
# The mean is over **matched** paths: those whose two ends are classified correctly at every epoch
# that is compared. So the same paths, and no others, stand behind every point of the figures below.
# (Less than 1e-16 is rounding, and drawn in the first bar.)

# %%
of_seed = summary[summary["seed"] == seeds[0]]
right = [measure.read_measurement(trained[0], e, protocol).paths["correct"] for e in epochs]
used = np.isin(epochs, [*of_seed[of_seed["included"]]["epoch"], num_epochs])
matched = np.all(np.array(right)[used], axis=0)
at_end = of_seed[of_seed["epoch"] == num_epochs].set_index("kind")[measure.PRIMARY]
for kind in measure.KINDS:
    chosen = (paths["kind"] == kind) & matched
    print(f"{kind} classes: {chosen.sum()} of {(paths['kind'] == kind).sum()} paths are matched")
    same("  mean power out of band", power[chosen].mean(), at_end[kind], within=1e-4)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharex=True, sharey=True)
drawn = np.maximum(power, 1e-16)  # less is rounding
bins = np.geomspace(drawn.min(), drawn.max(), 40)
for ax, kind in zip(axes, measure.KINDS, strict=True):
    of_kind = paths["kind"] == kind
    ax.hist(drawn[of_kind], bins=bins, color="0.8", label="all paths")
    ax.hist(drawn[of_kind & matched], bins=bins, color=plots.KIND_COLOURS[kind], label="matched")
    ax.axvline(power[of_kind & matched].mean(), color="k", ls="--", label="mean of the matched")
    ax.set(title=f"{kind} classes", xscale="log", xlabel=f"power above {cutoff:g} cycles/nu")
    ax.legend(**plots.SMALL, loc="upper left")
axes[0].set_ylabel("paths")
figure.suptitle(f"One number a path: the trained network of seed {seeds[0]}")
figure.tight_layout()

# %% [markdown]
# ## All paths
#
# Networks are compared only along matched paths: those whose two ends every compared network of the
# seed, each epoch one network, classifies correctly. A checkpoint far less accurate than the best
# would leave hardly any path; it is left out, and the first checkpoint of the claims is the first
# that is not.

# %%
print(measure.matched_counts(summary))
print(measure.left_out(summary, "epoch"))
compared = summary[summary["included"]]
first, last = int(compared["epoch"].min()), int(compared["epoch"].max())
print(f"First checkpoint of the claims: epoch {first}; last: epoch {last}.")

# %%
history = pd.concat([run.history for run in trained], ignore_index=True)
labels = {"xlabel": "epoch", "ylabel": "test accuracy", "title": "Test accuracy over training"}
ax = plots.over_seeds(history, "epoch", "test_accuracy", marker="", **labels)

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 3.1 (predict)
#
# Sketch four curves over epochs before you run the next cell: between and within classes, by the
# published HFF over all paths and by the power out of band over matched paths. Where do you expect
# the two measures to disagree?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Between classes there is always a transition, and HFF counts transitions. What happens to wrong
# ends within classes as accuracy rises?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# HFF between classes can hardly move: there is a transition from the start, and HFF gives about
# the same for any. HFF within classes falls as accuracy rises, because paths with a wrong end count
# most in it and grow few, and because a softmax that grows sure of one class all along has less of
# it. The power between classes can rise without a new transition, as the softmax sharpens. Within,
# over matched paths, wrong ends are gone from the start. What is left can go either way: a
# softmax that is sure along the whole path is flat, and its power falls (saturation); one that is
# not yet sure grows steeper wherever it wavers, and its power rises. If you predicted the same for
# both measures, ask what each would do of a network that only grows more confident.
#
# </details>

# %% tags=["slide"]
after_training = summary[summary["epoch"] > 0]
labels = {"xlabel": "epoch", "logx": True, "title": "Over training"}
axes = plots.published_and_out_of_band(after_training, "epoch", cutoff, **labels)

# %% [markdown]
# The spectrum of the function along the paths: the power above f, for every f from the cutoff to
# four times it, and each epoch. A softmax sharpens as a network grows confident, even where the
# logits keep their shape; logits in units of their own standard deviation do not. So both are
# shown.

# %% tags=["slide"]
spectra = measure.spectra(compared, cutoff)
note = measure.matched_counts(summary)
grid = plots.power_above(spectra, "epoch", legend="epoch", title="Power above f", note=note)

# %% [markdown]
# The same, epoch by epoch: where scripts run, the slider moves the curves from the first epoch on.

# %%
means = spectra.groupby(["kind", "output", "epoch", "frequency"])[["power", "floor"]].mean()
panels = []
for output, kind in itertools.product(measure.OUTPUTS, measure.KINDS):
    table = means.loc[kind, output].unstack("frequency")
    f, power = table["power"].columns.to_numpy(), table["power"].to_numpy()
    began = touch.Curve(f, power[0], f"epoch {first}", "0.6", "--")
    floor = touch.Curve(f, table["floor"].to_numpy(), "floor", "0", ":")
    now = touch.Curve(f, power, "the slider's epoch", plots.KIND_COLOURS[kind])
    together = means.xs(output, level="output")
    limits = touch.around(together, log=True)
    title, axes = f"{kind} classes, {measure.OUTPUTS[output]}", ("f (cycles/nu)", "power above f")
    curves = [began, floor, now]
    panels.append(touch.Panel(title, *axes, (f[0], f[-1]), limits, curves, logx=True, logy=True))

# %%
told = []
for epoch in sorted(spectra["epoch"].unique()):
    at = means.xs(epoch, level="epoch").xs("softmax", level="output").groupby("kind")["power"]
    told.append(
        f"epoch {epoch}; softmax above {cutoff:g} cycles/nu: "
        + ", ".join(f"{kind} {power:.2g}" for kind, power in at.first().items())
    )
touch.slider(panels, "epoch", told, start=len(told) - 1, pause=700)

# %% [markdown]
# With a kernel, seed by seed; dashed, the mean over seeds:


# %%
def of_seed(seed, epoch):
    """Power above f of one network, between and within classes."""
    panels, one = [], spectra[(spectra["seed"] == seed) & (spectra["epoch"] == epoch)]
    for (output, kind), table in one.groupby(["output", "kind"], sort=False):
        f, mean = table["frequency"], means.loc[kind, output, epoch]["power"]
        curves = [touch.Curve(f, table["power"], f"seed {seed}", plots.KIND_COLOURS[kind])]
        curves.append(touch.Curve(mean.index, mean, "all seeds", "0.6", "--"))
        curves.append(touch.Curve(f, table["floor"], "floor", "0", ":"))
        limits = touch.around(means.xs(output, level="output"), log=True)
        axes = "f (cycles/nu)", "power above f", (f.min(), f.max()), limits, curves
        panels.append(touch.Panel(f"{kind}, {output}", *axes, logx=True, logy=True))
    return panels


live.live(of_seed, seed=seeds, epoch=sorted(spectra["epoch"].unique()))

# %% [markdown]
# Is it more transitions, or sharper ones? The class changes a path, and the power for each. The
# table has the networks that were left out, too: their paths are those matched ones whose ends
# they get right themselves.

# %%
every_seed = compared.groupby(["kind", "epoch"])["power_per_change"].transform("count")
sharp = compared[every_seed == len(seeds)]
changes = ("Transitions", "class changes a path")
sharpness = ("Sharpness", "power, a class change")
panels = [(compared, "changes", *changes), (sharp, "power_per_change", *sharpness)]
labels = {"xlabel": "epoch", "legend": "path", "logx": True}
axes = plots.row(panels, "epoch", "kind", note=f"{note} Dashed: the floor.", **labels)
axes[1].set_yscale("log")
axes[1].get_legend().remove()
for kind, rows in sharp.groupby("kind"):
    level = (rows["floor_softmax_1"] / rows["changes"]).groupby(rows["epoch"]).mean()
    axes[1].plot(level.index, level, "--", color=plots.KIND_COLOURS[kind], lw=1)
for kind, rows in compared.groupby("kind"):
    share = (rows["changes"] == 0).mean()
    print(f"{kind} classes: {share:.0%} of the networks change their class on no matched path")

# %%
columns = ["test_accuracy", "num_paths", "effective_paths", "hff", "changes"]
columns += ["power_softmax_1", "power_logits_1"]
table = summary.groupby(["kind", "epoch", "included"])[columns].mean()
table.map("{:.3g}".format)

# %% [markdown]
# ## Off the straight line
#
# A straight line leaves the data: its middle has a smaller norm than either end. Controls, for the
# last epoch: along the sphere (slerp), which ends in the second image, too; through the amplitudes
# or the phases of the low image frequencies, which ends in no image, since the rest stays that of
# the first: there "between" need hold no transition. And as far in a random direction, whose two
# kinds differ only in length and in which starts are matched: it leaves the data outwards, norms
# grow, where a line leaves it inwards. If power rises along these as well, training may roughen the
# function wherever no data is, and that is a rival to everything said of straight lines. A path
# shorter than two periods of the cutoff can't resolve it, and is not drawn: so first, how long are
# the paths of each kind? Then the first few seeds' networks, no more than a test needs, at the
# first and the last checkpoint of the claims.

# %%
drawn = {"between": measure.between_class_pairs, "within": measure.within_class_pairs}
pairs = {kind: draw(images.y_test, num_pairs, seeds[0]) for kind, draw in drawn.items()}
every_path = list(dict.fromkeys(["linear", *paths_compared]))
lengths = [
    pd.DataFrame({"path": path, "kind": kind, "length": measure.lengths(images, of_kind, path)})
    for path in every_path
    for kind, of_kind in pairs.items()
]
lengths = pd.concat(lengths, ignore_index=True)

figure, ax = plt.subplots(figsize=(9, 4))
options = {"hue": "kind", "palette": plots.KIND_COLOURS, "fliersize": 2, "ax": ax}
sns.boxplot(lengths, x="path", y="length", **options)
ax.axhline(protocol.shortest, color="k", ls="--", lw=1, label="two periods of the cutoff")
title = f"Lengths of {num_pairs} paths a kind, of the first seed's images"
ax.set(title=title, xlabel="", ylabel="length (nu)", ylim=(0, None))
legend = ax.legend(**plots.SMALL)

# %%
some, along = configs[: stats.LEAST_SEEDS], {}
for path in every_path:
    try:
        other = dataclasses.replace(protocol, path=path)
        along[path] = measure.sweep(some, other, device, sorted({first, last})).assign(path=path)
        print(f"{path}. {measure.matched_counts(along[path])}")
    except StudyError as error:
        long_enough = lengths[lengths["path"] == path]["length"] >= protocol.shortest
        print(f"{path}: can't be measured, {long_enough.mean():.0%} are long enough. {error}")

# %%
every_kind = claims.without_floor(pd.concat(along.values(), ignore_index=True))
control = every_kind[every_kind["epoch"] == last]
options = {"x": "path", "hue": "kind", "palette": plots.KIND_COLOURS, "linestyle": "none"}
options |= {"dodge": 0.2, "errorbar": ("pi", 100)}
ax = sns.pointplot(control, y="power_softmax_1", **options)
sns.pointplot(control, y="floor_softmax_1", marker="_", legend=False, ax=ax, **options)
ax.set(title="The last epoch, along other paths", ylabel=f"power above {cutoff:g} cycles/nu")
ax.set(xlabel=f"kind of path\n(mean and range over {len(some)} seeds; dashes: the floor)")
ax.set_yscale("log")
ax.set_xticks(ax.get_xticks(), [name.replace("_", "\n") for name in along])
legend = ax.legend(title="path", **plots.SMALL, **plots.BESIDE)

# %% [markdown]
# ## Claims
#
# The verdict takes the softmax along straight lines, from the first checkpoint to the last: one
# ratio a seed, its interval Student's over seeds. Described beside it: the same of the logits;
# along the other paths, over training and, at the last epoch, against straight lines.

# %%
# NBVAL_CHECK_OUTPUT
design = designs.over_time("epoch", "epoch")
claimed = claims.over_paths("F2", compared, design)
clear = claims.without_floor(compared)
for kind in measure.KINDS:
    rows = clear[clear["kind"] == kind]
    statement = f"{kind} classes, the power of standardised logits, over training"
    claimed.append(claims.described("F2", statement, *design(rows, "power_logits_1")))
for path in list(along)[1:]:
    against_linear = designs.against("path", path, "linear")
    for kind in measure.KINDS:
        rows = every_kind[(every_kind["kind"] == kind) & (every_kind["path"] == path)]
        statement = f"{kind} classes, over training, along {path}"
        claimed.append(claims.described("F2", statement, *design(rows, measure.PRIMARY)))
        rows = control[control["kind"] == kind]
        statement = f"{kind} classes, at the last epoch, {path} against linear"
        tested = against_linear(rows, measure.PRIMARY)
        claimed.append(claims.described("F2", statement, *tested))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# Do softmax and logits say the same, and the power and the share of the softmax? The share is the
# power over the variance along the path: it rises where the variance falls faster than the power.

# %%
for kind, softmax, logits in zip(measure.KINDS, claimed[:2], claimed[2:4], strict=True):
    shares = design(clear[clear["kind"] == kind], measure.column("share", "softmax", 1))
    print(f"{kind} classes: softmax {softmax.text}")
    for name, effect, text in (("its share", *shares), ("logits", logits.effect, logits.text)):
        decided = [bool(one.p <= verdicts.LEVEL) for one in (softmax.effect, effect)]
        same = np.sign(softmax.effect.estimate) == np.sign(effect.estimate)
        answer = "they agree" if same else "they disagree: it depends on the measure"
        if not all(decided):
            names = np.array(["the softmax's power", name])[decided]
            answer = f"decided: {' and '.join(names) or 'neither'}"
        print(f"  {name} {text}; {answer}.")

# %% [markdown]
# ## Is it the measure, or the paths?
#
# The published verdict and the primary one differ in two things at once: the measure, and the paths
# it is taken over. Here they are crossed. Every entry is a ratio of the last to the first
# checkpoint of the claims, of the mean and of the median path (a geometric mean over seeds; none
# where a seed's is not clear of its floor): over all paths, those whose ends are right at their own
# epoch, those right at both, and the matched ones, right at every epoch that is compared. It
# describes.


# %%
def choices(run):
    """The paths of one run at the two checkpoints, and four choices among them, at either."""
    used = [int(one) for one in sorted(compared["epoch"].unique())]
    at = [measure.with_shares(measure.read_measurement(run, e, protocol).paths) for e in used]
    right = np.array([paths["correct"] for paths in at])
    every, both = np.full_like(right[0], True), right[0] & right[-1]
    chosen = {"all": (every, every), "right at their own epoch": (right[0], right[-1])}
    return at[0], at[-1], chosen | {"right at both": (both, both), "matched": (right.all(0),) * 2}


# %%
rows = []
for seed, run in zip(seeds, trained, strict=True):
    *at, chosen = choices(run)
    for (words, its), kind, end in itertools.product(chosen.items(), measure.KINDS, (0, 1)):
        some = at[end][its[end] & (at[end]["kind"] == kind)].drop(columns="kind")
        own = {"kind": kind, "paths": words, "seed": seed, "end": end, "size": len(some)}
        rows += [own | {"of": how} | dict(some.agg(how)) for how in ("mean", "median")]
crossed = claims.without_floor(pd.DataFrame(rows))
shown = [
    "hff",
    *(measure.column(of, out, 1) for out in measure.OUTPUTS for of in ("power", "share")),
]
by = ["kind", "paths", "of", "seed"]
ends = [crossed[crossed["end"] == end].set_index(by)[shown] for end in (0, 1)]
logs = np.log(ends[1] / ends[0]).groupby(by[:-1], sort=False)
ratios = np.exp(logs.agg(lambda of_seeds: of_seeds.mean(skipna=False))).unstack("of")
ratios.map("{:.2g}".format).replace("nan", "")

# %% [markdown]
# How many of the matched paths rise? And are they like the others? They are right at every
# checkpoint, the first one too: images that are learned early.

# %%
rising = []
for run in trained:
    before, after, chosen = choices(run)
    some = chosen["matched"][0]
    rising.append((after[shown] > before[shown])[some].groupby(before["kind"][some]).mean())
print("Share of the matched paths that rise, mean over seeds:")
print(pd.concat(rising).groupby("kind").mean().round(2).to_string())
at_end = crossed[(crossed["end"] == 1) & (crossed["of"] == "mean")]
print(f"\nAt epoch {last}, over matched paths, and over all that are right there:")
names = ["size", measure.PRIMARY, "changes"]
some = at_end[at_end["paths"].isin(["matched", "right at their own epoch"])]
print(some.groupby(["kind", "paths"])[names].mean().map("{:.3g}".format).to_string())

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed))

# %% [markdown]
# ## What to make of it
#
# HFF, over all paths, sees above all whether there is a transition: of a confident softmax with one
# transition away from the ends it is about 0.3, however steep, and of one that is sure of the same
# class all along it is near 0. A softmax that wavers lies between. Within classes there is a
# transition where the ends are classified differently, at least one of them wrongly: the rank
# correlation of HFF within classes with the test error is printed below, over all epochs (where
# time goes with both) and within each. But where HFF falls over matched paths as well, in the
# crossed table, wrong ends can't be all of it, since these have none (a softmax that grows flat has
# less HFF, too). Then it is the measure and not the choice of paths that makes the published
# verdict another one.

# %% [markdown]
# A mean may rest on few paths: `effective_paths` says on how many (all, if their power were equal).
# So the table of claims has the path in the middle, too, where it lies clear of its floor. Within
# classes the two can part, in the softmax's power: many paths grow flat as a network gets sure, and
# a few, where it wavers, grow so steep that the mean rises. Whether the path in the middle falls
# can hang on which paths are matched, and its share and its logits may rise all the same: flat is
# not smooth. Median and crossed table were added after CIFAR-10 had been seen: they describe.
#
# A random direction ends in no image and in no class. If power rises along it as much as along the
# lines between images, or more (the claims' table tells), training roughens the function off the
# data, and lines between images, whose middles lie off the data as well, may show no more than
# that: a rise within classes then need not be about classes at all. What could tell them apart is a
# path that stays where images are; none here does for sure.

# %% [markdown]
# Every seed draws its own pairs, but from the same test images: where these are few, as in a small
# dataset, the intervals hold only a part of the spread over images, and a verdict is about these
# images.
#
# Where softmax and logits disagree, the change is one of confidence: a sharper softmax has more
# power out of band although the logits beneath it may be as smooth as before, or a saturated one
# less although they are not. Where the softmax's power falls and its share rises, it varies less
# along the path, and what variation is left is faster. Class changes depend on none of these.

# %%
of_within = summary[summary["kind"] == "within"]
for name, rows in (("all", of_within), ("trained", of_within[of_within["epoch"] > 0])):
    rho = stats.rank_correlation(rows["hff"], 1 - rows["test_accuracy"])
    by_epoch = [
        stats.rank_correlation(one["hff"], 1 - one["test_accuracy"])
        for _, one in rows.groupby("epoch")
    ]
    print(
        f"HFF within classes, with the test error: rho {rho:.2f} over {len(rows)} networks, {name};"
        f" within an epoch {min(by_epoch):.2f} to {max(by_epoch):.2f}"
    )

# %% [markdown]
# ## Exercises
#
# Exercise 3.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 3.2 (implement)
#
# Write the choice of matched paths: those whose two ends *every* compared network classifies
# correctly, and no path at all for a network far behind the best.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# First find the networks that are compared, then ask for all of them at both ends.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def matched(starts, ends, accuracy, least=0.6):
    """Which paths count, (paths,) of bool. starts, ends: (networks, paths) of bool, whether an end
    is classified correctly; accuracy: (networks,); least: share of the best one's accuracy."""
    # a network below `least` times the best accuracy has no say
    ### BEGIN SOLUTION
    compared_ones = np.asarray(accuracy) >= least * np.max(accuracy)
    return (starts & ends)[compared_ones].all(axis=0)
    ### END SOLUTION


# %% tags=["check"]
right_starts = np.array([[True, True, False, True], [True, True, True, True], [False] * 4])
right_ends = np.array([[True, True, True, True], [True, False, True, True], [False] * 4])
found = matched(right_starts, right_ends, [0.9, 0.95, 0.1]).tolist()
assert found == [True, False, False, True], f"the third network has no say: not {found}"
found = matched(right_starts, right_ends, [0.9, 0.95, 0.9]).tolist()
assert found == [False] * 4, f"now it has one, and no path is left: not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 3.3 (vary)
#
# How much hangs on the first checkpoint? Take each of the others for it.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `design` compares the last with the first epoch of the rows it is given.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for start in sorted(compared["epoch"].unique())[:-1]:
    for kind, rows in clear[clear["epoch"] >= start].groupby("kind"):
        effect, text = design(rows, measure.PRIMARY)
        print(f"{kind}: {text}{effect.reason and f' ({effect.reason})'}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A ratio of the last to the first checkpoint holds all that happens between them. From a later
# start it shrinks towards 1: at once with digits, where most happens in the first epochs; with
# CIFAR-10 by about as much for each doubling of the epochs. It may then be no longer decided. That
# is no contradiction. "Rises with training" is a statement about an interval of time, so it has to
# say which; here from the first checkpoint that is accurate enough to be compared, which is a rule
# and not a choice made afterwards.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 3.4 (think)
#
# How much of the published measure is the mere presence of a transition? Compare, over paths within
# classes at the last epoch, the mean HFF of those whose two ends are classified correctly with that
# of the others. What follows for "HFF within classes falls with training"?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `measure.read_measurement(run, num_epochs, protocol).paths` has a column `correct`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
at_end = [measure.read_measurement(run, num_epochs, protocol).paths for run in trained]
within = pd.concat(at_end).query("kind == 'within'")
groups = within.groupby("correct")["hff"].agg(["size", "mean", "sum"])
groups["part of the sum"] = groups.pop("sum") / within["hff"].sum()
print(groups.round(3))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Paths with a wrong end have a transition, and an HFF near that of any transition; the others have
# a lower one: near 0 where the softmax is sure all along, as with digits, a fraction of the former
# where it is not. So the mean HFF within classes is a mean of two numbers, weighted by how many
# ends are wrong: as accuracy rises it falls towards the lower one. That much of "it falls with
# training" says that accuracy rises, which nobody doubted. The rest, what correct paths do, is in
# the crossed table above, in the row of matched paths.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 3.5 (extend)
#
# Total variation needs no cutoff. Add it as a measure: a figure over epochs, and the ratio of the
# last to the first checkpoint with its interval. Does it tell the same story? What can it not see?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The tables have a column `variation`; `design(rows, column)` returns an effect and its text.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
labels = {"xlabel": "epoch", "ylabel": "total variation of the softmax", "legend": "path"}
labels |= {"title": "Total variation along matched paths", "logx": True}
ax = plots.over_seeds(compared, "epoch", "variation", "kind", **labels)
for kind, rows in compared.groupby("kind"):
    print(f"{kind}: {design(rows, 'variation')[1]}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Total variation is the distance that the softmax covers: one full transition counts the same
# whether it is steep or slow. So it sees transitions that appear, vanish or grow higher, and not
# those that only sharpen: where power rises and variation does not, transitions became steeper. A
# new measure is a new claim: whoever adds one after having seen the results describes, and does not
# test.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals(), opened=trained[:1])
