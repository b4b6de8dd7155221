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
# # Is low-frequency label noise fitted before, and better than, high-frequency label noise?
#
# > **You will be able to** put noise of known frequency into labels, by hand; measure how far a
# > network has fitted it, against a control that never saw it; tell what the published minimum
# > mixes.
# >
# > **You need** classification with cross-entropy, linear regression.
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: core.
# >
# > **Words**: [label wave](glossary.md#label-wave), [control](glossary.md#control),
# > [gain](glossary.md#gain), [null band](glossary.md#null-band), [noise
# > fitting](glossary.md#noise-fitting), [periods](glossary.md#periods); all of them, and the
# > [columns of tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F1.** The paper disturbs the labels of a classification task with a wave over the input
# space: at some images the label stays nearly clean, at others it is smoothed towards "any class".
# The images are never altered. It reports that slow waves are picked up early and well, fast ones
# late or not at all: networks are biased towards low frequencies. The radial wave depends on the
# norm of the normalised image alone, whose unit is one **nu**; $f$ is in cycles per nu:
#
# $$s(x) = 1 + \sin\bigl(2\pi f\,(\lVert x\rVert - \phi)\bigr), \qquad
#   y \leftarrow (1 - r)\,y + \frac{r}{C},
#   \qquad r = A\,\frac{s(x)}{\text{mean over the batch of } s}.$$

# %% [markdown]
# What is asked: how does the **gain** depend on $f$? With $\tilde y$ the true class's entry of the
# noisy label, and $p$ the probability that a network gives that class,
#
# $$\text{gain} = \text{slope, over the test images, of }\;
#   p^{\text{wave}} - p^{\text{control}} \;\text{ on }\; \tilde y .$$
#
# 0: the wave is followed no more than by its control; 1: it is fitted. The **control** is a network
# of the same seed whose labels are smoothed as much, but evenly ($s = 1$). It has to be subtracted,
# because a network is more confident at some norms than at others without any wave. The mean gain
# over training says both how early and how well a wave is fitted.
#
# The published measure is **noise fitting**,
# $\text{CE}(\text{clean labels}) - \text{CE}(\text{noisy labels})$ on the test images, and its
# minimum over training. It is shown beside the gain.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats
import seaborn as sns
import torch
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from lib import data, measure, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig, argument, smooth_labels, smoothing, wave
from notebooks.by_hand import same
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
frequencies: list[float] = [0.2, 0.45, 0.64, 0.9, 1.27, 1.8]  # cycles/nu: of the waves
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
only_class: int = 0  # label: of the class that alone gets a wave; -1: leave that out
wave_on: str = "augmented"  # name: the image that a label's wave is computed on, augmented or clean
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
frequencies = sorted(frequencies)
colours = dict(zip(frequencies, sns.color_palette("viridis", len(frequencies)), strict=True))

# %% [markdown]
# ## First principles: a wave over images, and the labels it makes
#
# By hand first, a few lines of NumPy each; the line beneath each step says whether `lib`, which
# trains the networks, computes the same.
#
# **The argument.** Each test image is normalised and has a norm $\lVert x\rVert$, in nu. Over the
# norms runs the wave.

# %%
images = data.load(dataset, num_test)
normalized = images.normalize(images.x_test)
x = normalized.double().numpy().reshape(len(normalized), -1)  # (images, d)
norms = np.linalg.norm(x, axis=1)
low, high = np.percentile(norms, [1, 99])  # the range that periods are counted over
same("norms (nu)", norms, argument("radial", normalized), within=1e-4)

# %% [markdown]
# **The wave**, $s(x) = 1 + \sin(2\pi f(\lVert x\rVert - \phi))$: here the slowest that has a period
# over the range of the norms. Its phase $\phi$ is the norm that pixels of pure noise would have on
# average, the mean of a chi distribution with as many degrees of freedom as the image has numbers.

# %%
slow = next((f for f in frequencies if f * (high - low) >= 1), frequencies[-1])
phase = scipy.stats.chi(x.shape[1]).mean()  # nu
s = 1 + np.sin(2 * np.pi * slow * (norms - phase))
same(f"s(x), {slow:g} cycles/nu", s, wave("radial", slow, images.image_shape)(normalized), 1e-4)

# %% [markdown]
# **The labels.** Image by image a share $r$ of the label goes to "any class"; its mean is the
# amplitude $A$. At the crest of the wave $r$ is about twice that, in its trough nothing.

# %%
y = np.eye(images.num_classes)[images.y_test.numpy()]  # (images, classes), a 1 at the true class
r = np.minimum(amplitude * s / s.mean(), 1)
noisy_labels = (1 - r)[:, None] * y + r[:, None] / images.num_classes
in_lib = smooth_labels(
    images.y_test, torch.from_numpy(s), amplitude, num_classes=images.num_classes
)
same("labels of all classes", noisy_labels, in_lib)

# %% [markdown]
# Two waves now, the slowest and the fastest, and some test images at their norms. The curves are
# the label that each image gets: the entry of its true class; the other classes share the rest. At
# the same image a slow and a fast wave can say quite different things.

# %%
order = np.argsort(norms)
shown = np.abs(norms[:, None] - np.linspace(low, high, 7)).argmin(0)
labels = {}
for frequency in (frequencies[0], frequencies[-1]):
    s = wave("radial", frequency, images.image_shape)(normalized)
    labels[frequency] = 1 - (1 - 1 / images.num_classes) * smoothing(s, amplitude).numpy()

# %% tags=["slide"]
figure, ax = plt.subplots(figsize=(9, 4.5))
for frequency, label in labels.items():
    colour, name = colours[frequency], f"{frequency:g} cycles/nu"
    ax.plot(norms[order], label[order], color=colour, lw=1, label=name)
    ax.plot(norms[shown], label[shown], "o", color=colour)
for index in shown:
    picture = images.x_test[index].permute(1, 2, 0).squeeze() / images.x_test.max()
    picture = OffsetImage(picture.numpy(), zoom=32 / len(picture), cmap="gray")
    ax.add_artist(AnnotationBbox(picture, (norms[index], 1.15), frameon=False))
    ax.axvline(norms[index], color="0.7", ls=":", zorder=0)
ax.plot(norms, np.full(len(norms), 0.03), "|", color="0.5", ms=8)
title = "The label that an image gets, by its norm (ticks: all test images)"
ax.set(title=title, xlabel="‖x‖ (nu)", ylabel="label of the true class", ylim=(0, 1.3))
ax.set_yticks(np.arange(0, 1.1, 0.2))
ax.legend(**plots.BESIDE, **plots.SMALL)
figure.tight_layout()

# %%
columns = {f"label at {f:g} cycles/nu": label[shown] for f, label in labels.items()}
classes = {"image": shown, "class": images.y_test.numpy()[shown], "norm (nu)": norms[shown]}
pd.DataFrame(classes | columns).round(2)

# %% [markdown]
# ## The experiment
#
# One run for each wave and seed, and one control for each seed. A frequency says little until we
# know how far $\lVert x\rVert$ ranges over the images, so each is also given in **periods** across
# the range from the 1st to the 99th percentile of the test images. Below one period a wave is
# close to a constant shift of the labels, confounded with whatever else goes with the norm: such a
# wave is shown and takes no part in the verdict.
#
# Training sees augmented images, whose norms may range otherwise (a crop with a border of zeros is
# shorter). So the plan has their periods, too, and what two networks without any bias would gain on
# the test images: one that fits the wave of its training images exactly; and one that is blind to
# how an image was augmented, and gives it the mean of all the labels it had. Where no norm is
# changed, as by `notebooks/flip_roll.py`, which moves images round their edges, the two are equal,
# and 1 but for chance in which images are for tests, and which are looked at here (10,000 at most).
# Where one of them falls with $f$, a part of the slope may be no bias.

# %%
common = TrainingConfig.fields_in(parameters)
plan = pd.DataFrame({"frequency": frequencies}).assign(seeds=len(seeds))
plan["periods"] = plan["frequency"] * (high - low)
plan["in the verdict"] = plan["periods"] >= 1

# %%
pixels, again = images.x_train[:10_000], 4  # every image augmented so often
steps = data.Pipeline(augmentation if wave_on == "augmented" else "none")
one_hot = torch.eye(images.num_classes)[images.y_train[: len(pixels)]]
generator, seen = torch.Generator().manual_seed(0), []
for _ in range(again):
    raw = images.normalize(steps.raw(pixels)).float()
    seen.append(argument("radial", steps.normalized(raw, one_hot, generator)[0]))
seen, unseen = torch.stack(seen).numpy(), argument("radial", images.normalize(pixels)).numpy()
plan["periods in training"] = plan["frequency"] * np.ptp(np.percentile(seen, [1, 99]))
for row, frequency in enumerate(frequencies):
    in_tests, augmented, clean = (
        1 + np.sin(2 * np.pi * frequency * (at - phase)) for at in (norms, seen, unseen)
    )
    exact = in_tests.mean() / augmented.mean()
    plan.loc[row, "gain of an exact fit"] = exact
    plan.loc[row, "of a blind one"] = exact * np.polyfit(clean, augmented.mean(0), 1)[0]
plan.round(3)

# %%
waves = [
    TrainingConfig(**common, wave="radial", frequency=frequency, seed=seed)
    for frequency in frequencies
    for seed in seeds
]
trained = runs.sweep([*waves, *{config.control() for config in waves}], device)
fits, nulls = measure.fitting(waves), measure.null(waves)

# %% [markdown]
# ## What the runs show
#
# First the course of training. The grey band is what the gain is without any wave: the same slope
# with the control of another seed in place of the wave's run, of all waves together. One run in the
# band can't be told from no wave; five of the same sign still can, by Student's t over seeds (the
# table below). And the band is of few pairs of controls: a run without any gain may leave it.

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 2.1 (predict)
#
# The next figure has one curve of gain a wave, and a grey band: what the gain is without any wave.
# Which waves leave the band, in which order, and where does each end by the last epoch? What would
# a network without spectral bias show?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Read the column of periods above: how many periods does each wave have across the images?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# With a bias towards low frequencies the slow waves leave the band first and climb highest, the
# faster ones later and less, and the fastest may stay inside to the end: no single run of it then
# shows that it was learned at all. A network without the bias would lift all curves together, each
# as far towards the gain of an exact fit (in the plan above) as its sureness of the class allows,
# which is about the same for all. A curve inside the band is no proof that a wave can't be learned,
# only that it was not, in this time.
#
# </details>

# %% tags=["slide"]
ax = plt.subplots()[1]
plots.null_band(ax, measure.null_band(nulls, ["epoch"]), "epoch")
gained = "gain (0: no wave, 1: fitted)"
by_epoch = {"xlabel": "epoch", "marker": "", "legend": "cycles/nu"}
options = {"title": "Gain over training", "ylabel": gained, "ax": ax}
plots.over_seeds(fits, "epoch", "gain", "frequency", **by_epoch, **options)
ax.figure.tight_layout()

# %% [markdown]
# **One gain by hand.** A run keeps, at every epoch and test image, the logarithm of $p$ of the true
# class, and its mean over all classes. Here the wave from above, the first seed, the last epoch:
# what the network gives the true class beyond its control, over what the noisy label asks for. The
# gain is the slope of the line.

# %%
config = waves[frequencies.index(slow) * len(seeds)]  # of the first seed
run, control = runs.find(config).arrays(), runs.find(config.control()).arrays()
log_p, log_p_control = (kept["log_true"][-1].astype(float) for kept in (run, control))
asked = (noisy_labels * y).sum(axis=1)  # the noisy label's entry of the true class
beyond = np.exp(log_p) - np.exp(log_p_control)
slope, start = np.polyfit(asked, beyond, 1)
one_run = fits[(fits["frequency"] == slow) & (fits["seed"] == seeds[0])]
same("gain", slope, one_run["gain"].iloc[-1], within=1e-4, unit=1)

# %%
mean_log_p = run["log_mean"][-1].astype(float)
clean = -log_p.mean()  # cross-entropy with the clean labels, nats
noisy = -((1 - r) * log_p + r * mean_log_p).mean()  # and with the noisy ones
same("noise fitting", clean - noisy, one_run["noise_fitting"].iloc[-1], within=1e-4, unit=1)

# %%
ax = plt.subplots()[1]
ax.plot(asked, beyond, ".", color="0.5", label="a test image")
ends = np.array([asked.min(), asked.max()])
ax.plot(ends, start + slope * ends, color="C3", lw=2, label=f"slope {slope:.2f}: the gain")
ax.set(title=f"The gain of one run, {slow:g} cycles/nu, at the last epoch")
ax.set(xlabel="noisy label of the true class", ylabel="p of the true class, beyond the control")
ax.legend(**plots.SMALL)
ax.figure.tight_layout()

# %% [markdown]
# The same for every wave, at the end and over training, with Student's interval over seeds. A gain
# of 1 is out of reach for a network that is unsure of the class. `attainable`, at the end: that of
# one as sure as its control, which applies the wave to what it believes exactly; if it is the same
# for all waves, it does not touch their order. And noise costs: accuracy stands beside the
# control's.

# %%
summary = measure.wave_summary(fits, ["frequency", "seed"])
classes, beside = images.num_classes, []
for config in waves:
    control = runs.find(config.control())
    p = np.exp(control.arrays()["log_true"][-1].astype(float))
    sure = (p - amplitude / classes) / (1 - amplitude)  # of the class, with the smoothing undone
    s = wave("radial", config.frequency, images.image_shape)(normalized)
    r = smoothing(s, amplitude).numpy()
    gain = measure.gain(((1 - r) * sure + r / classes)[None], p[None], 1 - r * (1 - 1 / classes))
    accuracy = control.history["test_accuracy"].iloc[-1]
    beside.append((config.frequency, config.seed, float(gain[0]), accuracy))
names = ["frequency", "seed", "attainable", "control_accuracy"]
summary = summary.merge(pd.DataFrame(beside, columns=names))

# %%
columns = ["periods", "final_gain", "attainable", "min_noise_fitting", "beyond_control"]
columns += ["dip_epoch", "test_accuracy", "control_accuracy"]
table = summary.groupby("frequency")[columns].mean().map("{:.3g}".format)
effects = summary.groupby("frequency")["mean_gain"].agg(stats.t_test)
in_words = [designs.said(effect, "", ratio=False) for effect in effects]
table.insert(1, "mean_gain [95 %]", in_words)
table

# %% [markdown]
# Then one number a run, a line for each seed. Left of the vertical line a wave has less than one
# period.


# %% tags=["slide"]
def by_frequency(ax, column: str, title: str, unit: str) -> None:
    """One line a seed of a column of `summary`; the axis gives periods below the frequencies."""
    lines = {"units": "seed", "estimator": None, "lw": 1, "marker": "o"}
    sns.lineplot(summary, x="frequency", y=column, color="C0", ax=ax, **lines)
    ax.axvline(1 / (high - low), color="k", ls=":", lw=1)
    ax.set_xscale("log")
    ax.set_xticks(frequencies, [f"{f:g}\n({f * (high - low):.1f})" for f in frequencies])
    ax.minorticks_off()
    xlabel = f"cycles/nu (periods)\n(a line each of {len(seeds)} seeds)"
    ax.set(title=title, xlabel=xlabel, ylabel=unit)


ax = plt.subplots()[1]
by_frequency(ax, "mean_gain", "Mean gain over training", "mean gain (0: no wave, 1: fitted)")
plots.null_band(ax, measure.null_band(nulls, ["frequency"]), "frequency")
ax.legend(**plots.SMALL)
ax.figure.tight_layout()

# %% [markdown]
# The published measure. Noise fitting is negative for a network that knows the classes and not the
# wave, and falls as it grows surer of them; fitting the wave raises it, or lets it fall less. The
# control, dashed, knows no wave at all: so read the distance to it. The published minimum of a wave
# says something of that wave only where it differs from the control's.

# %%
options = {"title": "Noise fitting over training", "ylabel": "noise fitting (nats)"}
ax = plots.over_seeds(fits, "epoch", "noise_fitting", "frequency", **by_epoch, **options)
control = fits.groupby("epoch")["control_fitting"].mean()
ax.plot(control.index, control, "k--", lw=1.5, label="control")
ax.legend(title="cycles/nu", **plots.BESIDE, **plots.SMALL)
ax.figure.tight_layout()

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
by_frequency(axes[0], "min_noise_fitting", "Published: its minimum", "minimum (nats)")
by_frequency(axes[1], "beyond_control", "Beyond the control's minimum", "difference (nats)")
controls = summary["min_noise_fitting"] - summary["beyond_control"]
axes[0].axhspan(controls.min(), controls.max(), color="k", alpha=0.15, label="control, all seeds")
axes[0].legend(**plots.SMALL)
axes[1].axhline(0, color="k", ls="--", lw=1)
figure.tight_layout()

# %% [markdown]
# ## A wave on one class
#
# The labels of a single class can be given the wave, and all others left clean. Its control is
# smoothed on the same class alone, and its gain is taken over the test images of that class, which
# have their own range of norms. So at the same frequency three things differ beside whose labels
# are noisy: the periods across the range, the number of images with a wave, and the number of
# images that the gain is a slope over. What is compared is therefore no effect of the class alone.

# %%
if only_class >= 0:
    own_range = np.ptp(np.percentile(norms[images.y_test.numpy() == only_class], [1, 99]))
    resolved = [f for f in frequencies if f * own_range >= 1]
    slowest = min(resolved, default=frequencies[-1])
    which = (
        "the slowest with a period there" if resolved else "none has a period there: the fastest"
    )
    print(
        f"{slowest:g} cycles/nu, {slowest * own_range:.2g} periods in class {only_class}: {which}"
    )
    radial = common | {"wave": "radial", "frequency": slowest}
    on_one = [TrainingConfig(**radial, wave_class=only_class, seed=seed) for seed in seeds]
    trained += runs.sweep([*on_one, *{config.control() for config in on_one}], device)
    fits_of_one = measure.fitting(on_one).assign(noisy=f"class {only_class}")
    both = pd.concat([fits[fits["frequency"] == slowest].assign(noisy="all"), fits_of_one])

# %%
if only_class >= 0:
    ax = plt.subplots()[1]
    plots.null_band(ax, measure.null_band(measure.null(on_one), ["epoch"]), "epoch")
    title = f"Gain of the wave of {slowest:g} cycles/nu, on the labels of one class and of all"
    by_epoch |= {"legend": "noisy labels", "ylabel": gained, "title": title}
    plots.over_seeds(both, "epoch", "gain", "noisy", **by_epoch, ax=ax)

# %% [markdown]
# The band is that of the one class. Is its mean gain more than controls of other seeds have?

# %%
if only_class >= 0:
    of_one = measure.wave_summary(both, ["noisy", "seed"])
    share = (images.y_test.numpy() == only_class).mean()
    compared = of_one.groupby("noisy")[["periods", "mean_gain", "test_accuracy"]].mean()
    compared["share of images"] = np.where(compared.index == "all", 1.0, share)
    print(compared.map("{:.3g}".format).to_string())
    own = of_one.loc[of_one["noisy"] != "all", "mean_gain"]
    band = measure.null_band(measure.null(on_one), ["frequency"])
    print(
        f"mean gain on class {only_class}: {own.min():.3f} to {own.max():.3f} over seeds;", end=" "
    )
    if band.empty:
        print("one seed has no null band")
    else:
        least, most = band.loc[0, ["low", "high"]]
        beyond = int(((own < least) | (own > most)).sum())
        print(f"{beyond} of {len(own)} seeds leave the null band, {least:.3f} to {most:.3f}")

# %% [markdown]
# ## Claims
#
# The verdict is about the mean gain: each seed gives one slope on $\ln f$, and the interval is
# Student's over seeds. The variants are the mean gain, the gain at the end, and the published
# minimum beyond the control's. The epoch of the dip is described: a dip at the very end of training
# might have come later, and where controls dip there too, it times no wave. What is learned *first*
# is told by the gain after the first epoch that is measured, described as well. So is the slope
# without the slowest wave, most of whose period may lie in the few images of the longest and
# shortest norm. A slope sums up the frequencies that were tried: where waves lie at 0, its interval
# is that of this average, and of no law. So the slopes between neighbours stand below the table.

# %%
# NBVAL_CHECK_OUTPUT
design = designs.over_doses("frequency", "the wave's frequency")
claimed = [claims.over_waves("F1", summary, design)]
used = summary[summary["included"]]
faster = used[used["frequency"] > used["frequency"].min()]
statement = "mean gain, without the slowest wave"
claimed.append(claims.described("F1", statement, *design(faster, "mean_gain")))
first = fits[fits["epoch"] == fits.loc[fits["epoch"] > 0, "epoch"].min()]
early = measure.wave_summary(first, ["frequency", "seed"]).query("included")
statement = "gain after the first epoch"
claimed.append(claims.described("F1", statement, *design(early, "mean_gain")))
statement = "the epoch of the dip of noise fitting"
claimed.append(claims.described("F1", statement, *design(used, "dip_epoch")))
if only_class >= 0:
    design = designs.against("noisy", f"class {only_class}", "all")
    statement = "mean gain, wave on one class (other periods, fewer noisy images) against all"
    claimed.append(claims.described("F1", statement, *design(of_one, "mean_gain")))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %%
of_neighbours = designs.over_doses("frequency", "the wave's frequency")
for pair in itertools.pairwise(sorted(used["frequency"].unique())):
    text = of_neighbours(used[used["frequency"].isin(pair)], "mean_gain")[1]
    print(f"from {pair[0]:g} to {pair[1]:g} cycles/nu: mean gain {text}")

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed))

# %% [markdown]
# ## What to make of it
#
# Read the two measures side by side. The published minimum mixes three things: how well the wave is
# fitted, how confident the network is, and how early in training the minimum falls. The gain looks
# at the wave alone, and against networks that never saw it.
#
# Where a minimum lies below the control's, its wave seems to be fitted less than no wave: then the
# minimum tells of something else than the wave.
#
# Mind the horizontal axis: frequency means little without the range of the wave's argument. Periods
# carry over between datasets, cycles per nu do not.

# %% [markdown]
# ## Exercises
#
# Exercise 2.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 2.2 (implement)
#
# Write the gain: the least-squares slope, over images, of $p^{\text{wave}} - p^{\text{control}}$ on
# the noisy label $\tilde y$.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The slope of $d$ on $y$ is $\sum (y - \bar y)\, d \,/ \sum (y - \bar y)^2$.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def gain_of(of_wave, of_control, label):
    """The gain of one epoch; all (images,): probabilities of the true class, its noisy label."""
    # centre the label; the difference need not be centred as well
    ### BEGIN SOLUTION
    centred = label - label.mean()
    return centred @ (of_wave - of_control) / (centred @ centred)
    ### END SOLUTION


# %% tags=["check"]
drawn = np.random.default_rng(0)
noisy_label, without_wave = drawn.uniform(0.3, 1.0, 400), drawn.uniform(0.5, 0.7, 400)
found = gain_of(without_wave, without_wave, noisy_label)
assert np.isclose(found, 0), f"no more than its control: 0, not {found}"
found = gain_of(without_wave + 0.5 * noisy_label, without_wave, noisy_label)
assert np.isclose(found, 0.5), f"half of the wave beyond the control: 0.5, not {found}"
found = gain_of(without_wave + 0.2, without_wave, noisy_label)
assert np.isclose(found, 0), f"more confident everywhere is no wave: 0, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 2.3 (vary)
#
# A network can only fit a wave that its images let it see. Vary the number of training images: how
# many of them are there per period of the fastest wave, along the norm, with all, half and a tenth?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# 98 % of the norms lie between `low` and `high`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for images_seen in (num_train, num_train // 2, num_train // 10):
    inside = images_seen * 0.98 / (max(frequencies) * (high - low))
    print(f"{images_seen} images: about {inside:.0f} in each period of the fastest wave")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Two images a period are the least by which a wave is seen at all, if the norm were all that an
# image is. But the images lie in many dimensions, and two of the same norm may be far apart: a
# network that fits every image by itself would need no wave. So a number well above two says that
# the *data* would allow the fast wave; that it is not fitted is then a matter of the network and
# its training. Where the number comes down to a few, the reason is open.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 2.4 (think)
#
# Uniform smoothing has an ideal output. Which value of noise fitting does a network reach that
# outputs the smoothed label exactly, on every test image? How near does the control come, and why
# not all the way?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Its probabilities are two numbers: that of the true class, $1 - A (1 - 1/C)$, and that of each
# other, $A / C$.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
right = 1 - amplitude * (1 - 1 / images.num_classes)
wrong = amplitude / images.num_classes
clean = -np.log(right)
noisy = -(right * np.log(right) + (images.num_classes - 1) * wrong * np.log(wrong))
print(f"CE(clean) - CE(noisy) = {clean:.2f} - {noisy:.2f} = {clean - noisy:.2f} nats")
print(f"the controls at the end: {control.iloc[-1]:.2f} nats")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The ideal is negative although the network is perfect: its cross-entropy on noisy labels is their
# entropy, which nothing can undercut. So a negative noise fitting is not a failure to fit. Controls
# fall short of it where they are wrong, or more or less sure than the label says. This is why a
# wave's minimum has a meaning only beside its control's.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 2.5 (think)
#
# Why not leave the control out, and take the slope of $p^{\text{wave}}$ alone? Look at what it
# would be for the controls themselves, and say when that could be mistaken for a wave that was
# learned.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Confidence depends on the norm of an image, and so does the wave.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
controls = runs.sweep([config.control() for config in waves[: len(seeds)]], device)
probabilities = np.exp([run.arrays()["log_true"][-1].astype(float) for run in controls])
for frequency, label in labels.items():
    alone = measure.gain(probabilities, np.zeros_like(probabilities), label)
    print(f"{frequency:g} cycles/nu: {alone.min():.2f} to {alone.max():.2f} over seeds")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A network that never saw a wave has a slope, too, whenever something else that goes with the norm
# makes it more or less sure: faint images, hard classes. The slower the wave, the more of such a
# trend it can resemble, so the very waves that are said to be learned best are in most danger.
# Subtracting a control of the same seed takes away whatever both networks share. Where the slopes
# printed here are small, the control was cheap insurance; on other images it is not.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
