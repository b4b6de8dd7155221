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
# # Low-frequency label noise is fitted before high-frequency label noise
#
# **Finding F1.** Take a classification task and disturb its labels with a wave over the input
# space: at some images the label is nearly clean, at others it is smoothed towards "any class". The
# frequency of that wave is ours to choose. If networks learn low frequencies first, a slow wave is
# picked up early and well, a fast one late or not at all.
#
# The images are never altered; only the labels are. The radial wave depends on the norm of the
# image alone:
#
# $$s(x) = 1 + \sin\bigl(2\pi f\,(\lVert x\rVert - \phi)\bigr), \qquad
#   y \leftarrow (1 - r)\,y + \frac{r}{C},
#   \qquad r = A\,\frac{s(x)}{\text{mean over the batch of } s}.$$
#
# $x$ is the normalised image and one unit of its L2 norm is one **nu**, so $f$ is in cycles per nu.

# %% [markdown]
# Two measures answer the question, epoch by epoch, on the test set:
#
# * **noise fitting** (the paper's):
#   $\text{CE}(\text{clean labels}) - \text{CE}(\text{noisy labels})$. It sinks while the network
#   learns the classes and rises once it fits the wave. Its minimum over training, higher for a wave
#   that is fitted more readily, is the published summary.
# * **wave slope** (corrected): the least-squares slope of the probability that the network gives
#   the true class against the noisy label it should give: 0, the wave is ignored; 1, it is fitted.
#   Noise fitting also moves when a network merely becomes more or less confident; the slope does
#   not.
#
# **The control** is uniform smoothing at the same amplitude, $s = 1$: as much noise, no wave.

# %%
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from lib import claims, data, plots, provenance, runs, training
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: wrn-DEPTH-WIDTH, resnet8-WIDTH or mlp-DEPTH-WIDTH
seeds: list[int] = [0, 1, 2]  # seed: one replication each
frequencies: list[float] = [0.45, 0.64, 0.9, 1.27, 1.8, 2.55, 3.6]  # cycles/nu: of the waves
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
num_epochs: int = 40  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +
clean_arm: bool = False  # switch: repeat with the wave computed on the unaugmented image
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## How fast is a wave, seen by the data?
#
# A frequency in cycles per nu says little until we know how far the wave's argument,
# $\lVert x\rVert$, ranges over the images. Below one period over that range a wave is close to a
# constant shift of the labels, confounded with whatever else goes with the norm. So each frequency
# is also given in **periods** across the range from the 1st to the 99th percentile of
# $\lVert x\rVert$.

# %%
images = data.load(dataset, num_test)
norms = images.normalize(images.x_train).flatten(1).norm(dim=1).numpy()
low, high = np.percentile(norms, [1, 99])
phase = training.chi_mean(images.x_train[0].numel())

ax = sns.histplot(norms, bins=60, stat="density", color="0.7", edgecolor=None)
title = "Norms of the training images, and the slowest and fastest wave"
ax.set(title=title, xlabel="‖x‖ (nu)", ylabel="density (1/nu)")
on_the_right = ax.twinx()
grid = torch.linspace(norms.min(), norms.max(), 500)
for frequency in (min(frequencies), max(frequencies)):
    wave = training.radial_wave(grid[:, None, None, None], frequency, phase)
    label = f"{frequency:g} cycles/nu: {frequency * (high - low):.1f} periods"
    on_the_right.plot(grid, wave, label=label, lw=1)
on_the_right.set(ylabel="wave s(x)", ylim=(0, 2.1))
on_the_right.grid(False)
below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 2}
on_the_right.legend(fontsize="small", **below)
ax.figure.tight_layout()

# %% [markdown]
# ## The experiment
#
# One run for each wave and seed, and the control for each seed. Runs that are already in the store
# are read.

# %%
common = TrainingConfig.fields_in(parameters)
arms = ["augmented", "clean"] if clean_arm else ["augmented"]
radial = [{"wave_on": arm, "frequency": frequency} for arm in arms for frequency in frequencies]
configs = [TrainingConfig(**common, seed=seed, wave="uniform") for seed in seeds]
for seed in seeds:
    configs += [TrainingConfig(**common, seed=seed, wave="radial", **wave) for wave in radial]
periods = np.multiply(frequencies, high - low).round(2)
counts = {"periods": periods, "runs": len(seeds) * len(arms)}
pd.DataFrame({"frequency (cycles/nu)": frequencies, **counts})

# %%
trained = runs.sweep(configs, device)

# %%
history = pd.concat([run.history for run in trained], ignore_index=True)
uniform = history[history["wave"] == "uniform"]
control = uniform.set_index(["seed", "epoch"])["noise_fitting"].rename("control")
waves = history[history["wave"] == "radial"].join(control, on=["seed", "epoch"])
waves["periods"] = waves["frequency"] * (high - low)
waves["beyond_control"] = waves["noise_fitting"] - waves["control"]

# %% [markdown]
# ## What the runs show
#
# First the course of training. A wave that is being fitted turns upwards; the control shows what
# the same amount of smoothing does without any wave.

# %%
augmented = waves[waves["wave_on"] == "augmented"]
options = {"legend": "cycles/nu", "marker": "", "xlabel": "epoch"}
title, label = "Noise fitting over training", "noise fitting (nats)"
options |= {"title": title, "ylabel": label}
ax = plots.over_seeds(augmented, "epoch", "noise_fitting", "frequency", **options)
mean_control = control.groupby("epoch").mean()
ax.plot(mean_control.index, mean_control, "k--", lw=1.5, label="uniform smoothing")
ax.legend(title="cycles/nu", fontsize="small", title_fontsize="small", **plots.BESIDE)
ax.figure.tight_layout()

# %%
title, label = "How much of the wave the network has fitted", "wave slope (0 ignored, 1 fitted)"
options |= {"title": title, "ylabel": label}
ax = plots.over_seeds(augmented, "epoch", "wave_slope", "frequency", **options)
ax.axhline(0, color="k", lw=0.8)
ax.figure.tight_layout()

# %% [markdown]
# Then one number a run: the published summary, the epoch of its dip, and the corrected ones.
# `min_beyond_control` is the lowest noise fitting relative to the control of the same seed and
# epoch; `final_slope` is the wave slope when training ends.

# %%
by_run = ["wave_on", "frequency", "periods", "seed"]
lowest = waves.groupby(by_run)["beyond_control"].min().rename("min_beyond_control")
summary = training.wave_summary(waves, by_run).join(lowest, on=by_run)
columns = ["min_noise_fitting", "min_beyond_control", "dip_epoch", "final_slope", "test_accuracy"]
summary.groupby(["wave_on", "frequency", "periods"])[columns].mean().round(3)

# %%
minimum = ("Published: minimum noise fitting", "minimum noise fitting (nats)")
slope = ("Corrected: wave slope at the end", "wave slope (0 ignored, 1 fitted)")
panels = [(summary, "min_noise_fitting", *minimum), (summary, "final_slope", *slope)]
hue = "wave_on" if clean_arm else None
xlabel = "frequency in cycles/nu\n(in periods across the 1-99 % range of ‖x‖)"
options = {"xlabel": xlabel, "legend": "wave computed on the image that is", "logx": True}
axes = plots.row(panels, "frequency", hue, **options)
for ax in axes:
    ax.set_xticks(frequencies, [f"{f:g}\n({f * (high - low):.1f})" for f in frequencies])
lowest_control = control.groupby("seed").min().mean()
axes[0].axhline(lowest_control, color="k", ls="--", lw=1)
place = (max(frequencies), lowest_control)
axes[0].annotate("uniform smoothing", place, va="bottom", ha="right", fontsize="small")
axes[0].figure.tight_layout()

# %% [markdown]
# ## Claims
#
# Each seed gives one rank correlation over the frequencies; the interval is a bootstrap over seeds.

# %%
main = summary[summary["wave_on"] == "augmented"]
falls, later = "fitting falls with the wave's frequency", "the dip comes later"
trends = [
    ("published", "min noise fitting falls as the wave gets faster", "min_noise_fitting", "< 0"),
    ("published", f"{later} as the wave gets faster", "dip_epoch", "> 0"),
    ("corrected", "beyond the control, min noise fitting falls with frequency", lowest.name, "< 0"),
    ("corrected", "the fitted share of the wave falls with frequency", "final_slope", "< 0"),
]
headlines = [f"{falls}|published", f"{later} with the wave's frequency|published"]
headlines += ["", f"{falls}|corrected"]
claimed = []
for (name, statement, y, expected), headline in zip(trends, headlines, strict=True):
    arguments = (main, "frequency", y, expected, headline)
    claimed.append(claims.trend("F1", name, statement, *arguments))

# %%
# NBVAL_CHECK_OUTPUT
slopes = main.pivot(index="seed", columns="frequency", values="final_slope")
further = slopes[min(frequencies)] - slopes[max(frequencies)]
statement = "the slowest wave is fitted further than the fastest"
values = ("difference of final wave slopes", further, further.index)
claimed.append(claims.over_seeds("F1", "corrected", statement, *values, "> 0"))
if clean_arm:
    arm, name = summary[summary["wave_on"] == "clean"], "wave on the clean image"
    arguments = (arm, "frequency", "final_slope", "< 0")
    headline = f"{name}: fitting falls with its frequency|corrected"
    statement = f"{name}: its fitted share falls with frequency"
    claimed.append(claims.trend("F1", "corrected", statement, *arguments, headline))
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Read the two measures side by side. The published minimum mixes three things: how well the wave is
# fitted, how confident the network is (soft labels make a network less confident, and that moves
# both cross-entropies whether or not any wave is fitted: see the dashed control), and how early in
# training the minimum falls. The wave slope looks at the wave alone. Where the two disagree,
# believe the slope.
#
# A slope near zero for a fast wave means that the network treats the noise as if it were uniform:
# it has learned the wave's mean, not the wave.
#
# Mind the horizontal axis: frequency means little without the range of the wave's argument. Periods
# (in brackets) carry over between datasets, cycles per nu do not.
#
# ## Exercises
#
# 1. A network can only fit a wave that its inputs let it see. How many training images are there
#    per period of the fastest wave, along the norm? Is the fastest wave unlearnable for lack of
#    data?
# 2. Uniform smoothing has an ideal output. Which value of noise fitting does a network reach that
#    outputs the smoothed label exactly, on every test image?

# %% tags=["solution"]
inside = ((norms > low) & (norms < high)).mean() * num_train
in_each = inside / (max(frequencies) * (high - low))
print(f"about {in_each:.0f} training images in each period of the fastest wave")

# %% tags=["solution"]
right = 1 - amplitude * (1 - 1 / images.num_classes)
wrong = amplitude / images.num_classes
clean = -np.log(right)
noisy = -(right * np.log(right) + (images.num_classes - 1) * wrong * np.log(wrong))
print(f"CE(clean) - CE(noisy) = {clean:.3f} - {noisy:.3f} = {clean - noisy:.3f} nats")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
