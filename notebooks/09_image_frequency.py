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
# # Are waves along low-frequency image directions fitted more readily than along high ones?
#
# > **You will be able to** tell the frequency of a function from the frequency of an image; set
# > waves to equal periods; take a second explanation apart by whitening.
# >
# > **You need** [notebook 02](02_noise_fitting.ipynb), the two-dimensional Fourier transform.
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: advanced.
# >
# > **Words**: [label wave](glossary.md#label-wave), [periods](glossary.md#periods),
# > [gain](glossary.md#gain); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F8.** A function of an image has a frequency; so has the image. Let the label wave run
# along one direction $u$ of pixel space, a Fourier basis image of low or high spatial frequency:
#
# $$s(x) = 1 + \sin\bigl(2\pi f\,\langle x, u\rangle\bigr).$$
#
# $f$ is the frequency of the function, in cycles per nu along $u$; the radius of $u$ in the Fourier
# plane is the frequency of the image. The paper reports that networks fit waves along the low image
# frequencies that natural images are made of.

# %% [markdown]
# Images reach further along some directions than along others, so the same $f$ means more periods
# on one direction than on another. What is asked: at **equal periods** across the range from the
# 1st to the 99th percentile of $\langle x, u\rangle$, does the mean gain
# ([notebook 02](02_noise_fitting.ipynb)) fall with the radius? One slope on $\ln(\text{radius})$ a
# seed.
#
# The periods are those of the test images; an augmentation that shifts images turns the phase of a
# wave along a Fourier direction, so none is used where that matters. Equal periods are not equal in
# everything: where images reach less far, the wave has to be faster
# per nu. So there is a second explanation of whatever is found: not the image's frequency but the
# function's. To tell them apart, the waves are learned once more on images that are *whitened*:
# stretched along the directions, so that they spread equally along all of them.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator

from lib import data, measure, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig, argument
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
radii: list[int] = [1, 2, 3]  # cycles/image: spatial frequency of the directions
periods: float = 2.0  # periods: of the waves, across the 1-99 % range along their directions
whiten: bool = True  # switch: learn the waves on whitened images, too
others: bool = True  # switch: learn those of mixed directions and equal cycles, described only
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
heat_norm: float = 2.0  # nu: length of the perturbations in the heat map of sensitivity
heat_images: int = 200  # images: perturbed for the heat map
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
common = TrainingConfig.fields_in(parameters, but=("amplitude",))

# %% [markdown]
# ## Directions, and how far images reach along them
#
# For every radius two basis images, along the axes of the Fourier plane; and three directions that
# mix all basis images: a random one, and composites that weight them by $r^2$ (`f`) or $1/r^2$
# (`1/f`), $r$ the radius.

# %%
images = data.load(dataset, num_test)
channels, size, _ = images.image_shape
centre = size // 2
directions = {}
for radius in radii:
    directions[f"fourier:{centre + radius},{centre}"] = radius
    directions[f"fourier:{centre},{centre + radius}"] = radius


def reach(of: data.Dataset, name: str) -> float:
    """The range of the test images from the 1st to the 99th percentile along a direction, nu."""
    along = argument(name, of.normalize(of.x_test))
    return float(np.ptp(np.percentile(along, [1, 99])))


mixed = ["random:0", "f", "1/f"]
named = {name: f"radius {radius}" for name, radius in directions.items()}
named |= {name: name for name in mixed}
figure, axes = plt.subplots(1, len(named), figsize=(1.5 * len(named), 2))
for ax, (name, words) in zip(axes, named.items(), strict=True):
    ax.imshow(data.named_direction(name, size, channels)[0], cmap="gray")
    ax.set(title=f"{words}\n{reach(images, name):.1f} nu", xticks=[], yticks=[])
title = figure.suptitle("Directions, and the 1-99 % range of the images along them", y=1.15)

# %% [markdown]
# Whitened images: the component along each direction, and along its partner (the same stripes a
# quarter of a period further on), is scaled so that all have the same standard deviation, the
# geometric mean of what they had. Everything else in the images stays as it was.


# %%
def whitened(of: data.Dataset, names: list[str]) -> dict[str, np.ndarray]:
    """The arrays of a dataset, normalised, with equal standard deviations along `names`."""
    basis = torch.stack([data.named_direction(name, size, channels).flatten() for name in names])

    def places(raw: torch.Tensor) -> torch.Tensor:
        return of.normalize(raw).flatten(1).double() @ basis.T

    def stretched(raw: torch.Tensor) -> torch.Tensor:
        pixels = of.normalize(raw).double() + ((places(raw) * more) @ basis).view(raw.shape)
        return pixels.permute(0, 2, 3, 1).half()

    spreads = torch.cat([places(part) for part in of.x_train.split(1000)]).std(0)
    more = spreads.log().mean().exp() / spreads - 1
    pixels = {"x_train": of.x_train, "x_test": of.x_test}
    new = {key: torch.cat(list(map(stretched, raw.split(1000)))) for key, raw in pixels.items()}
    return {k: v.numpy() for k, v in (new | {"y_train": of.y_train, "y_test": of.y_test}).items()}


# %%
datasets = {"as they are": dataset}
if whiten:
    partners = [f"fourier:{centre - r},{centre}" for r in radii if r < size / 2]
    partners += [f"fourier:{centre},{centre - r}" for r in radii if r < size / 2]
    folder = tempfile.TemporaryDirectory()
    np.savez(f"{folder.name}/whitened.npz", **whitened(images, [*directions, *partners]))
    datasets["whitened"] = f"npz:{folder.name}/whitened.npz"
loaded = {name: data.load(file, num_test) for name, file in datasets.items()}

# %%
index = 3
figure, axes = plt.subplots(1, len(loaded), figsize=(2.4 * len(loaded), 2.6), squeeze=False)
for ax, (name, one) in zip(axes[0], loaded.items(), strict=True):
    picture = one.normalize(one.x_test[index]).permute(1, 2, 0)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    ax.imshow(picture, cmap="gray")
    ax.set(title=name, xticks=[], yticks=[])
title = figure.suptitle("A test image", y=1.02)

# %% [markdown]
# ## The experiment
#
# The waves of equal periods, on both sets of images. Then, where `others` is on, on the images as
# they are and only for description: waves of equal periods along the mixed directions; and waves of
# equal cycles per nu, the slowest of them with one period, along one direction of each radius.

# %%
rows = [
    (experiment, name, periods / reach(one, name))
    for experiment, one in loaded.items()
    for name in directions
]
if others:
    rows += [("mixed", name, periods / reach(images, name)) for name in mixed]
    least = np.ceil(1000 / min(reach(images, name) for name in directions)) / 1000
    rows += [("equal cycles", name, least) for name in list(directions)[::2]]
plan = pd.DataFrame(rows, columns=["experiment", "wave", "frequency"])
plan["frequency"] = plan["frequency"].map("{:.4g}".format).astype(float)
plan["radius"] = plan["wave"].map(directions)
plan["periods"] = [
    row.frequency * reach(loaded.get(row.experiment, images), row.wave) for row in plan.itertuples()
]
plan.round(2)

# %%
for experiment in loaded:
    own = plan.loc[plan["experiment"] == experiment, "frequency"]
    print(
        f"images {experiment}: at {periods:g} periods f differs {own.max() / own.min():.1f} times"
    )

# %%
noisy = common | {"amplitude": amplitude}
waves = {}
for row in plan.itertuples():
    fields = noisy | {"dataset": datasets.get(row.experiment, dataset), "wave": row.wave}
    configs = [TrainingConfig(**fields, frequency=row.frequency, seed=seed) for seed in seeds]
    waves.setdefault(row.experiment, []).extend(configs)
every = [config for configs in waves.values() for config in configs]
trained = runs.sweep([*every, *{config.control() for config in every}], device)

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 9.1 (predict)
#
# At equal periods, how will the mean gain go with the image frequency, on the images as they are?
# If you believe that networks prefer low *image* frequencies, what do you predict for the whitened
# images? And if you believe that they prefer low *function* frequencies?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Natural images reach far along low image frequencies. For two periods, how fast per nu is a wave
# along a direction with a short reach?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# On the images as they are both beliefs predict a fall: low image frequencies reach further, so
# their waves of equal periods are also slower per nu. Whitened images pull the two apart: all
# directions reach equally far, so function frequency is the same for all. If the fall stays, f is
# not what makes it: image frequency is, or anything else that differs between the directions, such
# as what the classes depend on; if it goes, function frequency was enough to explain it; if it
# turns round, something else is at work. Writing down both predictions before is what makes the
# second panel a test.
#
# </details>

# %%
columns = ["experiment", "wave", "frequency", "seed"]
parts = [measure.fitting(configs).assign(experiment=name) for name, configs in waves.items()]
summary = measure.wave_summary(pd.concat(parts), columns)
summary["radius"] = summary["wave"].map(directions)
nulls = pd.concat(
    [measure.null(configs).assign(experiment=name) for name, configs in waves.items()]
)
nulls["radius"] = nulls["wave"].map(directions)
means = ["periods", "mean_gain", "final_gain", "min_noise_fitting", "beyond_control"]
summary.groupby(columns[:3], sort=False)[means].mean().round(3)

# %% [markdown]
# ## What the runs show
#
# At equal periods. A line is a seed and one of the two orientations; grey is what the gain is
# without any wave: one seed's control beyond another's.

# %% tags=["slide"]
gained = "mean gain (0: no wave, 1: fitted)"
orientation = {name: ["vertical", "horizontal"][k % 2] for k, name in enumerate(directions)}
summary["orientation"] = summary["wave"].map(orientation)
panels = {"figsize": (5.5 * len(loaded), 4), "squeeze": False, "sharey": True}
figure, axes = plt.subplots(1, len(loaded), **panels)
for ax, experiment in zip(axes[0], loaded, strict=True):
    own = summary[summary["experiment"] == experiment]
    line = {"x": "radius", "y": "mean_gain", "hue": "orientation", "palette": ["C2", "C4"]}
    sns.lineplot(own, **line, units="seed", estimator=None, marker="o", lw=1, ax=ax)
    null = nulls[nulls["experiment"] == experiment]
    plots.null_band(ax, measure.null_band(null, ["radius"]), "radius")
    ax.set_xscale("log")
    ax.set_xticks(radii, radii)
    ax.minorticks_off()
    xlabel = f"image frequency (cycles/image)\n(a line each of {len(seeds)} seeds)"
    ax.set(title=f"Images {experiment}, {periods:g} periods", xlabel=xlabel, ylabel=gained)
    ax.legend(title="stripes vary", **plots.BESIDE, **plots.SMALL)
if whiten:
    axes[0, 0].get_legend().remove()
figure.tight_layout()

# %% [markdown]
# The same gains against the other explanation, the frequency of the function.

# %% tags=["slide"]
ax = plt.subplots()[1]
plots.null_band(ax, measure.null_band(nulls, ["experiment"]))
own = summary[summary["experiment"].isin(list(loaded))].rename(columns={"experiment": "images"})
own = own.astype({"radius": int})
shown = {"x": "frequency", "y": "mean_gain", "hue": "radius", "style": "images"}
sns.scatterplot(own, **shown, palette="viridis", legend="full", ax=ax)
ax.set_xscale("log")
ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
ax.xaxis.set_major_formatter("{x:g}")
ax.minorticks_off()
title = f"Gain and frequency of the function, {periods:g} periods"
xlabel = f"f (cycles/nu)\n(a point each direction and seed, n = {len(seeds)})"
ax.set(title=title, xlabel=xlabel, ylabel=gained)
legend = ax.legend(**plots.BESIDE, **plots.SMALL)

# %% [markdown]
# The mixed directions, where `others` is on. In pixels both composites stand out in a corner, where
# all basis images are in phase; their spectra, summed over the basis images of each radius, tell
# them apart.

# %%
if others:
    steps = torch.arange(size) - centre
    rings = (steps[:, None] ** 2 + steps[None, :] ** 2).double().sqrt().round().long().flatten()
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    for name in mixed:
        plane = torch.fft.fft2(data.named_direction(name, size, channels)).abs().square().sum(0)
        power = torch.zeros(int(rings.max()) + 1, dtype=torch.float64)
        power.index_add_(0, rings, torch.fft.fftshift(plane).flatten())
        axes[0].plot(power / power.sum(), "o-", ms=4, label=name)
    labels = {"xlabel": "image frequency (cycles/image)", "ylabel": "share of the power"}
    axes[0].set(title="Spectra of the mixed directions", yscale="log", **labels)
    axes[0].legend(title="direction", **plots.SMALL)
    own = summary[summary["experiment"] == "mixed"]
    null = nulls[nulls["experiment"] == "mixed"]
    plots.null_band(axes[1], measure.null_band(null, ["wave"]))
    sns.stripplot(
        own, x="wave", y="mean_gain", hue="wave", order=mixed, hue_order=mixed, ax=axes[1]
    )
    title = f"Mean gain, {periods:g} periods"
    axes[1].set(title=title, xlabel=f"direction\n({len(seeds)} seeds)", ylabel=gained)
    figure.tight_layout()

# %% [markdown]
# At equal cycles per nu, where `others` is on: low image frequencies have the most periods.

# %%
if others:
    own = summary[summary["experiment"] == "equal cycles"]
    controls = own["min_noise_fitting"] - own["beyond_control"]
    means = own.groupby("radius")["periods"].mean()
    names = [f"{radius:g}\n({count:.1f})" for radius, count in means.items()]

# %%
if others:
    panels = {"mean_gain": gained, "min_noise_fitting": "published: minimum noise fitting (nats)"}
    figure, axes = plt.subplots(1, 2, figsize=(11, 4))
    for ax, (column, label) in zip(axes, panels.items(), strict=True):
        line = {"units": "seed", "estimator": None, "marker": "o", "lw": 1, "color": "C2"}
        sns.lineplot(own, x="radius", y=column, ax=ax, **line)
        ax.set_xscale("log")
        ax.set_xticks(means.index, names)
        ax.minorticks_off()
        xlabel = f"cycles/image (periods)\n(a line each of {len(seeds)} seeds)"
        ax.set(title=f"{own['frequency'].mean():g} cycles/nu", xlabel=xlabel, ylabel=label)
    null = nulls[nulls["experiment"] == "equal cycles"]
    plots.null_band(axes[0], measure.null_band(null, ["radius"]), "radius")
    axes[1].axhspan(
        controls.min(), controls.max(), color="k", alpha=0.15, label="control, all seeds"
    )
    axes[1].legend(**plots.SMALL)
    figure.tight_layout()

# %% [markdown]
# ## Where networks are sensitive
#
# Beside the waves, networks trained on clean labels: the share of test images whose prediction
# changes when the image is moved along a basis image, forwards or back (Yin et al., 2019), and the
# variance of the data there. Basis images at $(u, v)$ and $(-u, -v)$ are the same stripes a quarter
# of a period apart, so their values are averaged.

# %%
clean = [TrainingConfig(**common, seed=seed) for seed in seeds]
clean_runs = runs.sweep(clean, device)
trained += clean_runs
indices = [(i, j) for i in range(size) for j in range(size)]
basis = torch.stack([data.fourier_basis_image(i, j, size) for i, j in indices]).float()
basis = basis[:, None].expand(-1, channels, -1, -1) / channels**0.5
opposite = (2 * centre - torch.arange(size)) % size


def both_phases(values: torch.Tensor) -> torch.Tensor:
    """(..., size^2) values of all basis images, averaged over the two of each frequency."""
    plane = values.double().unflatten(-1, (size, size))
    return ((plane + plane[..., opposite, :][..., opposite]) / 2).flatten(-2)


pixels = images.normalize(images.x_train[:2000]).flatten(1)
variance = both_phases((pixels @ basis.flatten(1).T).var(0))

# %%
steps = heat_norm * torch.stack([basis, -basis], dim=1).flatten(0, 1)
changes = []
for config, run in zip(clean, clean_runs, strict=True):
    network = config.build()
    network.load_state_dict(run.weights(num_epochs))
    forward = measure.Forward(network, images, device)
    start = forward.normalized(images.x_test[:heat_images])
    before, step = forward(start).argmax(1), steps.to(start)
    moved = forward.map(lambda k, start=start, step=step: start + step[k], range(len(steps)))
    share = [(logits.argmax(1) != before).double().mean().item() for logits in moved]
    changes.append(torch.tensor(share).view(-1, 2).mean(1))
changed = both_phases(torch.stack(changes))

# %% tags=["slide"]
figure, axes = plt.subplots(1, 2, figsize=(10, 6))
maps = {f"Predictions changed by {heat_norm:g} nu (share)": (changed.mean(0), None)}
maps["Variance of the images (nu²)"] = (variance, LogNorm())
every = max(1, size // 8)
ticks = np.arange(centre % every, size, every)
for ax, (title, (values, norm)) in zip(axes, maps.items(), strict=True):
    options = {"cmap": "viridis", "square": True, "norm": norm}
    options["cbar_kws"] = {"location": "bottom", "pad": 0.2, "shrink": 0.6}
    sns.heatmap(values.view(size, size).numpy(), ax=ax, **options)
    ax.set_xticks(ticks + 0.5, ticks - centre, rotation=0)
    ax.set_yticks(ticks + 0.5, ticks - centre, rotation=0)
    ax.set(title=title, xlabel="horizontal (cycles/image)", ylabel="vertical (cycles/image)")
figure.suptitle(f"Image frequencies (clean labels, mean over {len(seeds)} seeds)")
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# The verdict is about equal periods on the images as they are: each seed gives one slope of the
# mean gain on $\ln(\text{radius})$. Described, without a verdict: the same on whitened images, and
# the difference of the two slopes; the other waves; and, over the Fourier plane, one rank
# correlation a seed of sensitivity with the data's variance.

# %%
design = designs.over_doses("radius", "the image frequency")
tables = dict(list(summary.groupby("experiment")))
described, one_over_f = [], designs.against("wave", "1/f", "f")
if others:
    found = design(tables["equal cycles"], "mean_gain"), one_over_f(tables["mixed"], "mean_gain")
    described.append(("at equal cycles/nu, mean gain", found[0]))
    described.append(("mixed directions, mean gain", found[1]))
if whiten:
    described.append(("whitened images, mean gain", design(tables["whitened"], "mean_gain")))
    slopes = [stats.slopes(tables[name], "radius", "mean_gain", False) for name in loaded]
    effect = stats.t_test((slopes[1] - slopes[0]) / np.log2(max(radii) / min(radii)))
    text = designs.said(effect, "a doubling (above 0: a flatter fall, or a rise)", ratio=False)
    described.append(("slope on whitened images less that on images as they are", (effect, text)))
effect = stats.t_test([stats.rank_correlation(one.numpy(), variance.numpy()) for one in changed])
text = designs.said(effect, "rank correlation over the Fourier plane", ratio=False)
described.append(("sensitivity and the images' variance", (effect, text)))

# %%
# NBVAL_CHECK_OUTPUT
claimed = [claims.over_waves("F8", tables["as they are"], design)]
claimed += [claims.described("F8", statement, *found) for statement, found in described]
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed), end="\n\n")
for experiment in loaded:
    own = tables[experiment]
    means = own.groupby(["orientation", "radius"])["mean_gain"].mean().reset_index()
    rho = stats.rank_correlation(means["radius"], means["mean_gain"])
    print(f"Images {experiment}, means of {len(means)} directions: rank correlation {rho:.2f}.")
    for name, rows in own.groupby("orientation"):
        print(f"  {name} alone: {design(rows, 'mean_gain')[1]}")
if others:
    print(f"At equal cycles/nu: {dict(described)['at equal cycles/nu, mean gain'][1]}.")

# %% [markdown]
# ## What to make of it
#
# Seeds replicate the networks, not the directions: the verdict is about these few directions, which
# are the same for every seed. The correlation over their means, and each orientation by itself, say
# how far they agree with each other; a slope may be no line, as with digits, whose horizontal waves
# gain most at 2 cycles/image, on both sets of images.
#
# A slope at equal periods has two explanations: networks prefer low *image* frequencies; or they
# prefer low *function* frequencies, and a wave of equal periods is slower where images spread
# further. On whitened images all waves of equal periods are about equally fast, so a slope there is
# not one of f. That it changes from one set of images to the other does not show that f was the
# cause of it. At equal cycles/nu, where `others` is on, f is the same on the images as they are;
# but there a wave has more periods where images reach further, and that may move its gain, too.
# Read together what there is of the three.

# %% [markdown]
# What this does not test: whitening also changes the task. What tells the classes apart along these
# directions becomes louder or fainter, and a wave that goes with the classes may be learned
# otherwise than one that does not (exercise 5). And it whitens single directions, not the images:
# a faint direction that is made loud stands out among its neighbours, which may make it easy.

# %% [markdown]
# ## Exercises
#
# Exercise 9.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 9.2 (implement)
#
# Write a real Fourier basis image: a plane wave of unit length along two image frequencies.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# $\cos + \sin$ of $2\pi (u i + v j) / n$ has the same length for every frequency, unlike the cosine
# alone.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def plane_wave(down, across, size):
    """A (size, size) image of unit L2 norm, with `down` and `across` cycles over the image."""
    # a phase for each pixel, cos + sin of it, then divide by the norm
    ### BEGIN SOLUTION
    rows_of, columns_of = np.mgrid[:size, :size]
    turns_at = 2 * np.pi * (down * rows_of + across * columns_of) / size
    pixels_of = np.cos(turns_at) + np.sin(turns_at)
    return pixels_of / np.linalg.norm(pixels_of)
    ### END SOLUTION


# %% tags=["check"]
for wanted in ((0, 0), (1, 0), (0, 3), (2, 3), (4, 0)):
    its_wave = plane_wave(*wanted, 8)
    assert np.isclose(np.linalg.norm(its_wave), 1), f"{wanted} has norm 1"
    its_power = np.abs(np.fft.fft2(its_wave)) ** 2
    there = its_power[wanted] + its_power[tuple(-part for part in wanted)] * (wanted != (0, 0))
    there /= 2 if wanted == (4, 0) else 1  # it is its own opposite
    assert np.isclose(there, its_power.sum()), f"{wanted}: power at that frequency alone"
assert np.isclose((plane_wave(1, 0, 8) * plane_wave(0, 1, 8)).sum(), 0), "they are orthogonal"

# %% [markdown] tags=["exercise"]
# ### Exercise 9.3 (vary)
#
# Along which mixed direction do images reach furthest, and what does that make of $f$ at equal
# periods? (With `others` on.)

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Periods over frequency is the reach.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
table = plan[plan["experiment"] == "mixed"].set_index("wave")  # empty where `others` is off
print(pd.DataFrame({"reach (nu)": periods / table["frequency"], "f": table["frequency"]}).round(2))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Low image frequencies hold most of the variance, so one expects images to reach furthest along
# `1/f`. But a spectrum does not settle reach: in pixels both composites are nearly one bright
# corner, where all basis images are in phase, and images may hardly vary there; a random direction
# is spread over all pixels, and may reach further than either. Whatever the order, $f$ at equal
# periods is its inverse, so along mixed directions, too, a difference of gain has two explanations,
# and their order can't decide between them.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 9.4 (think)
#
# At equal cycles per nu, is the order of the waves by gain that of their periods? What does that
# add to the figure at equal periods? (With `others` on.)

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The rows of `summary` at equal cycles, means of `periods` and `mean_gain` by radius.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
at_equal_cycles = summary[summary["experiment"] == "equal cycles"]  # empty where `others` is off
order = at_equal_cycles.groupby("radius")[["periods", "mean_gain"]].mean()
print(order.sort_values("periods").round(2))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# With $f$ fixed the number of periods differs: where images reach further there are more of them,
# so a harder wave in that sense. If the gain still falls with the radius, although the periods fall
# with it too, then fewer periods were not easier, and image frequency (or how loud a direction is)
# matters beside $f$. If it follows the periods, they explain it. If it hardly moves, the two may
# cancel: with digits, at the same $f$, along the vertical direction of 3 cycles/image, a wave of
# two periods on whitened images gains .13 and one of a single period here .35. So $f$ alone is not
# enough. One experiment fixes periods, the other fixes $f$; neither fixes both.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 9.5 (think)
#
# How much of the variance of $\langle x, u\rangle$ lies between classes, along each direction? Why
# should that matter to how readily a wave is learned?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Variance of the class means over the variance of all.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for name, radius in directions.items():
    along = pd.Series(argument(name, images.normalize(images.x_test)).numpy())
    between = along.groupby(images.y_test.numpy()).transform("mean").var() / along.var()
    print(f"radius {radius}, {orientation[name]}: {between:.0%}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Along a direction that separates classes a network already computes something like $\langle x,
# u\rangle$ for the task, and a wave along it is a small change of features that are there. Along
# one that says nothing of the class it has to find the direction first, among many. So readiness
# may follow the task and not the frequency of the image; where the share between classes falls with
# the radius, the two explanations are not told apart by this experiment.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals(), opened=clean_runs)
