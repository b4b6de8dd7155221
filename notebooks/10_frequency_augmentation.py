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
# # Perturbing images with spectrum f or 1/f moves the frequency of the learned function
#
# **Finding F9.** As augmentation, add to every training image a fixed pattern $\delta$ of length
# $\epsilon$ nu, and smooth its label by one half:
#
# $$x \leftarrow x + \epsilon\,\frac{\delta}{\lVert\delta\rVert}, \qquad
# y \leftarrow \tfrac12\,y + \tfrac{1}{2C} .$$
#
# As released, a pattern is the sum of all Fourier basis images with amplitudes $r^2$ (fine, named
# `f`) or $1/r^2$ (coarse, `1/f`), $r$ their image frequency: the names are not the exponents.
#
# The paper trains with a mixture of the two and reports that it moves function frequency. It does
# not say which way, so the claims here ask whether it moves at all, and whether the two patterns
# move it differently. (The released code adds the pattern to the training set itself, epoch after
# epoch, so that it accumulates. Here each batch is perturbed anew.)

# %%
import pandas as pd

from lib import claims, data, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
fractions: list[float] = [0.0, 0.5, 1.0]  # share: of images that get spectrum f, the others 1/f
norms: list[float] = [0.5, 1.0]  # nu: length of the perturbation
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
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

# %%
shown = data.load(dataset, num_test)
channels, size, _ = shown.image_shape
image = shown.normalize(shown.x_test[:1])[0]
patterns = {name: data.named_direction(name, size, channels) for name in ("f", "1/f")}
images = {f"pattern {name}": pattern for name, pattern in patterns.items()}
images |= {
    f"an image + {max(norms):g} nu of {name}": image + max(norms) * pattern
    for name, pattern in patterns.items()
}
figure, axes = plots.plt.subplots(1, 4, figsize=(12, 3.2))
for ax, (title, pixels) in zip(axes, images.items(), strict=True):
    ax.imshow(pixels[0], cmap="gray")
    ax.set(title=title, xticks=[], yticks=[])
figure.tight_layout()

# %% [markdown]
# ## The experiment
#
# Beside the baseline there is a control that smooths every label by one half and leaves the images
# alone: half of what the augmentation does has nothing to do with the pattern.

# %%
before = "" if augmentation == "none" else f"{augmentation}+"
arms = {"none": {}, "smoothing only": {"wave": "uniform", "amplitude": 0.5}}
for norm in norms:
    for fraction in fractions:
        mixture = {"augmentation": f"{before}frequency:{fraction:g}:{norm:g}"}
        arms[f"{fraction:g} f, {norm:g} nu"] = mixture
common = TrainingConfig.fields_in(parameters)
configs = {
    (arm, seed): TrainingConfig(**common | changes, seed=seed)
    for arm, changes in arms.items()
    for seed in seeds
}
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
augmentations = {arm: config.augmentation for (arm, _), config in configs.items()}
pd.DataFrame({"augmentation": augmentations, "runs": len(seeds)})

# %%
trained = runs.sweep(configs.values(), device)
summary, spectra = measure.sweep(configs.values(), protocol, device)
arm_of = {run.key: arm for run, (arm, _) in zip(trained, configs, strict=True)}
summary["arm"], spectra["arm"] = summary["key"].map(arm_of), spectra["key"].map(arm_of)

# %% [markdown]
# ## What the runs show

# %%
plots.spectra(spectra, "arm", cutoff, "share of f, norm")

# %%
correct = summary[summary["selection"] == "correct"]
columns = ["test_accuracy", "hff", "power_softmax", "power_logits"]
correct.pivot_table(index="arm", columns="kind", values=columns, sort=False).round(4)

# %% [markdown]
# ## Claims
#
# At the greatest norm: the most f-like and the most 1/f-like mixture against smoothing alone, and
# against each other.

# %%
measures = (
    ("published", "hff", "HFF", "HFF, all paths"),
    ("corrected", "power_softmax", "power share", "power share, softmax"),
    ("corrected", "power_logits", "power share of logits", "power share, logits"),
)
least, most = (f"{f:g} f, {max(norms):g} nu" for f in (min(fractions), max(fractions)))
contrasts = {
    "least f against smoothing only": (least, "smoothing only"),
    "most f against smoothing only": (most, "smoothing only"),
    "most f against least f": (most, least),
}

# %%
# NBVAL_CHECK_OUTPUT
claimed = []
for kind in ("between", "within"):
    one_kind = correct[correct["kind"] == kind]
    for name, column, label, path_title in measures:
        by_arm = one_kind.pivot(index="seed", columns="arm", values=column)
        for title, (arm, other) in contrasts.items():
            moved = by_arm[arm] - by_arm[other]
            statement = f"{kind} classes, {label} moves: {title}"
            headline = claims.path_headline(path_title, f"{kind} classes: moves, {title}")
            tested = (moved.values, moved.index, "!= 0", headline)
            claim = claims.over_seeds("F9", name, statement, "difference of means", *tested)
            claimed.append(claim)
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Compare "none" with "smoothing only" in the table: what half-smoothed labels do to the softmax,
# whatever the images. The pattern's own effect is what remains beyond that, in the claims. A
# pattern that is the same for every image is easy to recognise, and a network may learn to smooth
# wherever it sees one; in clean test images it never does.
#
# ## Exercises
#
# 1. How does a longer perturbation change accuracy?
# 2. How far does smoothing alone move the corrected measure, in units of the largest move by a
#    pattern?

# %% tags=["solution"]
print(correct.groupby("arm", sort=False)["test_accuracy"].mean().round(3).to_string())

# %% tags=["solution"]
means = correct[correct["kind"] == "between"].groupby("arm")["power_softmax"].mean()
moves = means.drop(["none", "smoothing only"]) - means["smoothing only"]
print(f"{abs(means['smoothing only'] - means['none']) / moves.abs().max():.1f}")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
