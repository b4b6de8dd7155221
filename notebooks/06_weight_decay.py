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
# # Weight decay shifts the spectrum and delays the learning of high frequencies
#
# **Finding F5.** Weight decay adds $\tfrac{\lambda}{2} \lVert w \rVert^2$ to the loss, over all variables. The paper
# reports that regularisation shifts the spectrum of the learned function and delays the learning of high frequencies.
#
# Two experiments over a grid of $\lambda$ that includes 0: the spectra along paths between test images, and a label
# wave of a frequency that is only partly fitted,
#
# $$y \leftarrow (1 - r)\,y + r / C, \qquad r \propto 1 + \sin\bigl(2\pi f (\lVert x\rVert - \phi)\bigr),$$
#
# whose fitted share (notebook 02) should shrink as $\lambda$ grows.

# %%
import pandas as pd

from lib import claims, measure, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
weight_decays: list[float] = [0.0, 1.0e-4, 5.0e-4, 2.0e-3, 5.0e-3]  # per step: lambda, 0 for none
frequency: float = 0.64  # cycles/nu: of the label wave
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.augment
num_pairs: int = 200  # paths: within classes, and as many between classes
spacing: float = 0.15  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: power at or above it is high-frequency
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## The experiment

# %%
names = ("dataset", "model", "num_epochs", "num_train", "num_test", "batch_size", "lr", "precision", "augmentation")
common = {name: parameters[name] for name in names}
clean = [TrainingConfig(**common, seed=seed, weight_decay=decay) for seed in seeds for decay in weight_decays]
noisy = [TrainingConfig(**common, seed=seed, weight_decay=decay, wave="radial", frequency=frequency, amplitude=amplitude)
         for seed in seeds for decay in weight_decays]  # fmt: skip
how = measure.MeasurementConfig(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff)
pd.DataFrame({"weight decay": weight_decays, "runs with clean labels": len(seeds), "runs with a wave": len(seeds)})

# %%
made = runs.sweep([*clean, *noisy], device)
summary, spectra = measure.final(clean, how, device)

# %% [markdown]
# ## What the runs show
#
# The grid holds 0, so the horizontal axis is in steps of the grid, not to scale.


# %%
def by_step(table):
    return table.sort_values("weight_decay").assign(decay=lambda rows: rows["weight_decay"].map("{:g}".format))


plots.published_and_corrected(by_step(summary), "decay", "weight decay", cutoff);
# %%
history = pd.concat([run.history for run in made], ignore_index=True).query("wave == 'radial'")
by_run = history.groupby(["weight_decay", "seed"])
fitting = by_run.agg(min_noise_fitting=("noise_fitting", "min"), final_slope=("wave_slope", "last"),
                     test_accuracy=("test_accuracy", "last")).reset_index()  # fmt: skip
halfway = history[history["wave_slope"] >= 0.5 * by_run["wave_slope"].transform("max")]
first = halfway[halfway["wave_slope"] > 0].groupby(["weight_decay", "seed"])["epoch"].min()
every = pd.MultiIndex.from_frame(fitting[["weight_decay", "seed"]])
fitting["half_epoch"] = first.reindex(every, fill_value=num_epochs + 1).values  # a wave never fitted: after the end
figure, axes = plots.plt.subplots(1, 3, figsize=(13, 4))
panels = {"min_noise_fitting": ("Published: minimum noise fitting", "minimum noise fitting (nats)"),
          "final_slope": ("Corrected: wave slope at the end", "wave slope (0 ignored, 1 fitted)"),
          "half_epoch": ("Half of the largest wave slope", "first epoch")}  # fmt: skip
for ax, (column, (title, label)) in zip(axes, panels.items(), strict=True):
    plots.over_seeds(by_step(fitting), "decay", column, ax=ax, title=title, xlabel="weight decay", ylabel=label)
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# "Shifts" has no direction: those claims ask whether the rank correlation with weight decay differs from zero.

# %%
# NBVAL_CHECK_OUTPUT
found = claims.path_trends("F5", summary, "weight_decay", "weight decay", between="!= 0", within="!= 0")
found += [
    claims.trend("F5", "published", "min noise fitting falls with weight decay",
                 fitting, "weight_decay", "min_noise_fitting", "< 0", "fitting of the wave falls with weight decay|published"),
    claims.trend("F5", "corrected", "the fitted share of the wave falls with weight decay",
                 fitting, "weight_decay", "final_slope", "< 0", "fitting of the wave falls with weight decay|corrected"),
    claims.trend("F5", "corrected", "half of the wave is fitted later with weight decay",
                 fitting, "weight_decay", "half_epoch", "> 0", "the wave is fitted later with weight decay|corrected"),
]  # fmt: skip
claims.show(found)

# %%
claims.table(found)

# %% [markdown]
# ## What to make of it
#
# The two experiments ask different things. Paths look at the function that was learned without noise; the wave asks
# what the network could have learned. Weight decay may smooth the one and not hold back the other.
#
# At the strong end of the grid the network may no longer learn the classes: look at its accuracy (exercise 1) before
# reading a trend as one of smoothness.
#
# ## Exercises
#
# 1. How does test accuracy go with weight decay, with clean labels and with the wave?
# 2. Weight decay also shrinks the logits. Which of the claims above do not depend on confidence?

# %% tags=["solution"]
accuracy = summary.groupby("weight_decay")["test_accuracy"].mean().rename("clean labels")
print(pd.concat([accuracy, fitting.groupby("weight_decay")["test_accuracy"].mean().rename("wave")], axis=1).round(3))

# %% tags=["solution"]
print(*[claim.line() for claim in found if "calibrated" in claim.statement or "logits" in claim.statement], sep="\n")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
claims.record(found, made, globals())
