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
# **Finding F5.** Weight decay adds $\tfrac{\lambda}{2} \lVert w \rVert^2$ to the loss, over all
# variables. The paper reports that regularisation shifts the spectrum of the learned function and
# delays the learning of high frequencies.
#
# Two experiments over a grid of $\lambda$ that includes 0: frequency measures of paths between test
# images, and a label wave of a frequency that is only partly fitted,
#
# $$y \leftarrow (1 - r)\,y + r / C, \qquad
# r \propto 1 + \sin\bigl(2\pi f (\lVert x\rVert - \phi)\bigr),$$
#
# whose fitted share (notebook 02) should shrink as $\lambda$ grows.

# %%
import pandas as pd

from lib import claims, measure, plots, provenance, runs, training
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
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
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
common = TrainingConfig.fields_in(parameters, but=("amplitude", "frequency"))
wave = {"wave": "radial", "frequency": frequency, "amplitude": amplitude}
grid = [{"seed": seed, "weight_decay": decay} for seed in seeds for decay in weight_decays]
clean = [TrainingConfig(**common, **point) for point in grid]
noisy = [TrainingConfig(**common, **wave, **point) for point in grid]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
counts = {"runs with clean labels": len(seeds), "runs with a wave": len(seeds)}
pd.DataFrame({"weight decay": weight_decays, **counts})

# %%
trained = runs.sweep([*clean, *noisy], device)
summary, _ = measure.sweep(clean, protocol, device)

# %% [markdown]
# ## What the runs show
#
# The grid holds 0, so the horizontal axis is in steps of the grid, not to scale.


# %%
def by_step(table):
    steps = table["weight_decay"].map("{:g}".format)
    return table.assign(decay=steps).sort_values("weight_decay")


plots.published_and_corrected(by_step(summary), "decay", "weight decay", cutoff)
# %%
history = pd.concat([run.history for run in trained]).query("wave == 'radial'")
fitting = training.wave_summary(history, ["weight_decay", "seed"])
steps = by_step(fitting)
minimum, slope = "minimum noise fitting (nats)", "wave slope (0 ignored, 1 fitted)"
panels = [
    (steps, "min_noise_fitting", "Published: minimum noise fitting", minimum),
    (steps, "final_slope", "Corrected: wave slope at the end", slope),
    (steps, "half_epoch", "Half of the largest wave slope", "first epoch"),
]
axes = plots.row(panels, "decay", xlabel="weight decay")

# %% [markdown]
# ## Claims
#
# "Shifts" has no direction: those claims ask whether the rank correlation with weight decay differs
# from zero.

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.path_trends("F5", summary, "weight_decay", "weight decay", "!= 0", "!= 0")
falls, later = "fitting of the wave falls", "the wave is fitted later"
for name, statement, column, expected, headline in (
    ("published", "min noise fitting falls", "min_noise_fitting", "< 0", falls),
    ("corrected", "the fitted share of the wave falls", "final_slope", "< 0", falls),
    ("corrected", "half of the wave is fitted later", "half_epoch", "> 0", later),
):
    said, columns = f"{statement} with weight decay", ("weight_decay", column)
    headline = f"{headline} with weight decay|{name}"
    claimed.append(claims.trend("F5", name, said, fitting, *columns, expected, headline))
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# The two experiments ask different things. Paths look at the function that was learned without
# noise; the wave asks what the network could have learned. Weight decay may smooth the one and not
# hold back the other.
#
# At the strong end of the grid the network may no longer learn the classes: look at its accuracy
# (exercise 1) before reading a trend as one of smoothness.
#
# ## Exercises
#
# 1. How does test accuracy go with weight decay, with clean labels and with the wave?
# 2. Weight decay also shrinks the logits. Which of the claims above do not depend on confidence?

# %% tags=["solution"]
clean_labels = summary.groupby("weight_decay")["test_accuracy"].mean()
wave_labels = fitting.groupby("weight_decay")["test_accuracy"].mean()
print(pd.DataFrame({"clean labels": clean_labels, "wave": wave_labels}).round(3))

# %% tags=["solution"]
for claim in claimed:
    if "calibrated" in claim.statement or "logits" in claim.statement:
        print(claim.line())

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
