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
# # Waves along low-frequency image directions are fitted more readily than high-frequency ones
#
# **Finding F8.** A function of an image has a frequency; so has the image. Let the label wave run
# along one direction $u$ of pixel space, a Fourier basis image of low or high spatial frequency:
#
# $$s(x) = 1 + \sin\bigl(2\pi f\,\langle x, u\rangle\bigr).$$
#
# $f$ is the frequency of the function, in cycles per nu along $u$; the radius of $u$ in the Fourier
# plane is the frequency of the image. The paper reports that networks fit waves along the low image
# frequencies that natural images are made of.
#
# There is a confound: images hardly vary along high-frequency directions, so at the same $f$ a wave
# runs through fewer periods there. The corrected experiment gives every direction the same number
# of periods across the range from the 1st to the 99th percentile of $\langle x, u\rangle$.

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
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
radii: list[int] = [1, 2, 3]  # cycles/image: spatial frequency of the directions
frequencies: list[float] = [0.2, 0.4, 0.8]  # cycles/nu: of the waves
periods: float = 2.0  # periods: across the 1-99 % range, in the matched experiment
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
heat_norm: float = 1.0  # nu: length of the perturbations in the heat map of sensitivity
heat_images: int = 200  # images: perturbed for the heat map
num_epochs: int = 40  # epochs: of every run
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

# %% [markdown]
# ## The directions, and how far images reach along them
#
# For every radius the two basis images along the axes of the Fourier plane; and three directions
# that mix all of them: a random one, and composites weighted towards high (`f`) or low (`1/f`)
# image frequencies.

# %%
images = data.load(dataset, num_test)
channels, size, _ = images.image_shape
centre = size // 2
directions = {}
for radius in radii:
    directions[f"fourier:{centre + radius},{centre}"] = radius
    directions[f"fourier:{centre},{centre + radius}"] = radius
mixed = ["random:0", "f", "1/f"]
shapes = {name: data.named_direction(name, size, channels) for name in [*directions, *mixed]}
pixels = images.normalize(images.x_train).flatten(1)
reach = {}
for name, shape in shapes.items():
    low, high = np.percentile(pixels @ shape.float().flatten(), [1, 99])
    reach[name] = float(high - low)

figure, axes = plots.plt.subplots(1, len(directions), figsize=(2 * len(directions), 2.4))
for ax, (name, radius) in zip(axes, directions.items(), strict=True):
    ax.imshow(shapes[name][0], cmap="gray")
    ax.set(title=f"radius {radius}\n{reach[name]:.1f} nu", xticks=[], yticks=[])
title = figure.suptitle("Directions, and the 1-99 % range of the images along them", y=1.15)
# %% [markdown]
# ## The experiment

# %%
common = TrainingConfig.fields_in(parameters, but=("amplitude",))
grid = [(name, frequency, False) for name in directions for frequency in frequencies]
grid += [(name, periods / reach[name], True) for name in [*directions, *mixed]]
plan = pd.DataFrame(grid, columns=["wave", "frequency", "matched"])
plan["periods"] = plan["frequency"] * plan["wave"].map(reach)
plan["radius"] = plan["wave"].map(directions)
waves = [("uniform", 0.0), *zip(plan["wave"], plan["frequency"], strict=True)]
noisy = [
    TrainingConfig(**common, seed=seed, wave=name, frequency=frequency, amplitude=amplitude)
    for seed in seeds
    for name, frequency in waves
]
plan.round(3)

# %%
trained = runs.sweep(noisy, device)

# %%
history = pd.concat([run.history for run in trained])
by_run = training.wave_summary(history, ["wave", "frequency", "seed"])
lowest_control = by_run.loc[by_run["wave"] == "uniform", "min_noise_fitting"].mean()
fitting = plan.merge(by_run, on=["wave", "frequency"])
fixed, matched = fitting[~fitting["matched"]], fitting[fitting["matched"]]
along = matched.dropna(subset="radius")

# %% [markdown]
# ## What the runs show
#
# First every direction and function frequency, at equal cycles per nu.

# %%
measures = {
    "min_noise_fitting": ("Published", "minimum noise fitting (nats)"),
    "final_slope": ("Corrected", "wave slope (0 ignored, 1 fitted)"),
}
axis_of = {"index": "frequency", "columns": "radius"}
labels = {"xlabel": "image frequency (cycles/image)", "ylabel": "function frequency (cycles/nu)"}
figure, axes = plots.plt.subplots(1, 2, figsize=(12, 4))
for ax, (column, (name, unit)) in zip(axes, measures.items(), strict=True):
    table = fixed.pivot_table(**axis_of, values=column).sort_index(ascending=False)
    sns.heatmap(table, annot=True, fmt=".2f", cmap="viridis", ax=ax)
    ax.set(title=f"{name}: {unit}", **labels)
control = f"mean over {len(seeds)} seeds (control: {lowest_control:.2f} nats)"
figure.suptitle(f"Equal cycles per nu, {control}")
figure.tight_layout()

# %%
panels = [(along, column, name, unit) for column, (name, unit) in measures.items()]
title = f"Equal periods: {periods:g} across the 1-99 % range of the images"
axes = plots.row(panels, "radius", title=title, xlabel="image frequency (cycles/image)")
levels = matched.groupby("wave")[list(measures)].mean()
for ax, column in zip(axes, measures, strict=True):
    for number, name in enumerate(mixed, 1):
        ax.axhline(levels.loc[name, column], color=f"C{number}", ls="--", label=name)
    ax.set_xticks(radii)
legend = axes[1].legend(title="mixed directions", **plots.BESIDE)

# %% [markdown]
# Beside it, what networks trained on clean labels are sensitive to: the fraction of test images
# whose prediction changes under a perturbation along each Fourier basis image (Yin et al., 2019),
# and the power of the data itself there.

# %%
clean = [TrainingConfig(**common, seed=seed) for seed in seeds]
clean_runs = runs.sweep(clean, device)
trained += clean_runs
indices = [(i, j) for i in range(size) for j in range(size)]
basis = torch.stack([data.fourier_basis_image(i, j, size) for i, j in indices]).float()
projections = images.normalize(images.x_train[:2000]).flatten(2) @ basis.flatten(1).T
data_power = projections.pow(2).mean((0, 1))

shown = images.x_test[:heat_images].float()
perturbations = heat_norm * basis[:, None].expand(-1, channels, -1, -1) / channels**0.5
perturbations = perturbations * images.std[:, None, None]
changes = []
for config, run in zip(clean, clean_runs, strict=True):
    network = config.build()
    network.load_state_dict(run.weights(num_epochs))
    before = training.predict(network, shown, images).argmax(1)
    perturbed = (training.predict(network, shown + step, images) for step in perturbations)
    after = torch.stack([logits.argmax(1) for logits in perturbed])
    changes.append((after != before).double().mean(1))
changed = torch.stack(changes)

# %%
maps = {
    f"Predictions changed by {heat_norm:g} nu": changed.mean(0),
    "log10 of the data's power (nu²)": data_power.log10(),
}
options = {"cmap": "viridis", "square": True, "xticklabels": False, "yticklabels": False}
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4.5))
for ax, (title, values) in zip(axes, maps.items(), strict=True):
    sns.heatmap(values.reshape(size, size), **options, ax=ax)
    ax.set(title=title, xlabel="horizontal image frequency", ylabel="vertical image frequency")
figure.suptitle("The Fourier plane, zero frequency in the middle")
figure.tight_layout()

# %% [markdown]
# ## Claims

# %%
slopes = matched.pivot(index="seed", columns="wave", values="final_slope")
difference = slopes["1/f"] - slopes["f"]
columns = {"changed": changed.flatten(), "power": data_power.repeat(len(seeds))}
plane = pd.DataFrame({"seed": np.repeat(seeds, size**2), **columns})

# %%
# NBVAL_CHECK_OUTPUT
claimed = []
for equal, table in {"equal cycles/nu": fixed, "equal periods": along}.items():
    for name, quantity, column in (
        ("published", "min noise fitting", "min_noise_fitting"),
        ("corrected", "the fitted share", "final_slope"),
    ):
        statement = f"{equal}: {quantity} falls with image frequency"
        headline = f"{equal}: fitting falls with image frequency|{name}"
        claim = claims.trend("F8", name, statement, table, "radius", column, "< 0", headline)
        claimed.append(claim)

statement = "equal periods: 1/f is fitted further than f"
steeper = (difference.values, difference.index, "> 0", f"{statement}|corrected")
statistic = "difference of final wave slopes"
claimed.append(claims.over_seeds("F8", "corrected", statement, statistic, *steeper))

statement = "predictions change more where the data has more power"
more = ("power", "changed", "> 0", f"{statement}|corrected")
claimed.append(claims.trend("F8", "corrected", statement, plane, *more))
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# At equal cycles per nu, low image frequencies are at an advantage and a disadvantage at once:
# images reach further along them, so there is more wave to see and more of it to fit. Equal periods
# take that away. What is left is whether a network finds the direction.
#
# ## Exercises
#
# 1. How many periods does the slowest wave have along each direction? Below one it is nearly a
#    constant shift of labels.
# 2. Which mixed direction do images reach furthest along?

# %% tags=["solution"]
print((min(frequencies) * pd.Series(reach)[list(directions)]).round(2).to_string())

# %% tags=["solution"]
print(pd.Series(reach)[mixed].round(2).to_string())

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
