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
# # Augmentations that raise accuracy raise frequency between classes and lower it within
#
# **Finding F6.** Data augmentation tells a network what should not matter. The paper reports that
# the augmentations that help accuracy also raise function frequency between classes and lower it
# within.
#
# For every augmentation $a$ and seed there is one network with an accuracy and the frequency
# measures of its paths. The claim is about the rank correlation over augmentations,
#
# $$\rho_s = \operatorname{Spearman}_a\bigl(\text{accuracy}_{a,s},\ \text{measure}_{a,s}\bigr),$$
#
# with its interval over seeds $s$.
#
# One note on the code that the paper released: with flip and crop switched on, it applies
# AutoAugment and RandAugment and then crops the *original* image, so that the policy is thrown
# away. Here flip and crop act on the augmented image.

# %%
import pandas as pd

from lib import claims, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters
#
# An augmentation is named by its steps joined by `+`, in the order in which they are applied.

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
augmentations: list[str] = [
    "none",
    "crop",
    "flip_crop",
    "cutout",
    "crop+cutout",
    "mixup:0.1",
    "mixup:0.4",
    "mixup:1",
    "randaugment:3",
    "randaugment:9+crop",
    "autoaugment+crop",
]  # name: steps joined by +
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
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
common = TrainingConfig.fields_in(parameters)
grid = [{"seed": seed, "augmentation": name} for seed in seeds for name in augmentations]
configs = [TrainingConfig(**common, **point) for point in grid]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
pd.DataFrame({"augmentation": augmentations, "runs": len(seeds)})

# %%
trained = runs.sweep(configs, device)
summary, _ = measure.sweep(configs, protocol, device)

# %% [markdown]
# ## What the runs show

# %%
correct = summary[summary["selection"] == "correct"]
columns = ["test_accuracy", "hff", "power_softmax", "power_logits"]
means = correct.pivot_table(index="augmentation", columns="kind", values=columns).round(4)
means.sort_values(("test_accuracy", "within"))

# %%
title = f"One point a network: {len(augmentations)} augmentations, {len(seeds)} seeds"
plots.against_accuracy(summary, "augmentation", cutoff, title)
# %% [markdown]
# ## Claims

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.path_trends("F6", summary, "test_accuracy", "accuracy over augmentations")
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# HFF over all paths within a class and accuracy are nearly the same quantity: each misclassified
# end adds a transition. That row would be supported by networks of equal smoothness. The rows over
# correct ends compare functions; the rows for calibrated softmax and logits also take confidence
# away, and that matters here, since mixup and label-mixing augmentations make a network less
# confident by design.
#
# ## Exercises
#
# 1. Flipping a digit changes what it is. What does that do to accuracy, and to the claims if you
#    leave it out?
# 2. How does frequency go with the strength of mixup alone?

# %% tags=["solution"]
kept = summary[~summary["augmentation"].str.contains("flip")]
claims.show(claims.path_trends("F6", kept, "test_accuracy", "accuracy, no flips"))

# %% tags=["solution"]
mixed = correct[correct["augmentation"].str.startswith("mixup")]
print(mixed.groupby(["kind", "augmentation"])[["power_softmax", "power_logits"]].mean().round(4))

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
