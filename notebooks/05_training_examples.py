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
# # More training examples raise frequency between classes and lower it within
#
# **Finding F4.** Train the same network on more and more images. The paper reports that function
# frequency along paths between classes rises with the number of training examples, and falls along
# paths within a class.
#
# There is a confound. With the number of epochs $E$ fixed, a smaller training set also means fewer
# gradient steps:
#
# $$\text{steps} = E \cdot \left\lfloor \frac{n}{\min(B, n)} \right\rfloor .$$
#
# And training time alone moves function frequency (notebook 03). So every size is trained twice:
# once with the epochs fixed, as the released code does, and once with the steps fixed. Only what
# both show is about examples.

# %%
import pandas as pd

from lib import claims, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
shares: list[float] = [0.01, 0.03, 0.1, 0.3, 1.0]  # share: of num_train that is trained on
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
#
# A seed draws one order of the images; every size takes the first of them, so smaller sets lie
# inside larger ones.


# %%
def steps_per_epoch(size):
    return size // min(batch_size, size)


sizes = sorted({max(10, round(share * num_train)) for share in shares})
rows = []
for size in sizes:
    same_steps = round(num_epochs * steps_per_epoch(max(sizes)) / steps_per_epoch(size))
    rows += [("epochs", size, num_epochs), ("steps", size, same_steps)]
plan = pd.DataFrame(rows, columns=["fixed", "num_train", "num_epochs"])
plan["steps"] = plan["num_epochs"] * plan["num_train"].map(steps_per_epoch)
plan

# %%
common = TrainingConfig.fields_in(parameters, but=("num_train", "num_epochs"))
configs = {"epochs": [], "steps": []}
for seed in seeds:
    for row in plan.itertuples():
        length = {"num_train": row.num_train, "num_epochs": row.num_epochs}
        eval_every = -(-row.num_epochs // num_epochs)
        config = TrainingConfig(**common, **length, seed=seed, eval_every=eval_every)
        configs[row.fixed].append(config)
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
trained = runs.sweep([*configs["epochs"], *configs["steps"]], device)
summaries = {fixed: measure.sweep(group, protocol, device)[0] for fixed, group in configs.items()}

# %% [markdown]
# ## What the runs show

# %%
for fixed, summary in summaries.items():
    title = f"Fixed number of {fixed}"
    labels = {"xlabel": "training images", "cutoff": cutoff, "title": title}
    plots.published_and_corrected(summary, "num_train", **labels, logx=True)

# %%
both = pd.concat([summary.assign(fixed=fixed) for fixed, summary in summaries.items()])
rows = both[(both["selection"] == "all") & (both["kind"] == "within")]
title = "Test accuracy by number of training images"
labels = {"title": title, "xlabel": "training images", "ylabel": "test accuracy"}
columns = ("num_train", "test_accuracy", "fixed")
ax = plots.over_seeds(rows, *columns, legend="fixed number of", logx=True, **labels)

# %% [markdown]
# ## Claims
#
# Rank correlation of the number of training images and each measure, within each seed.

# %%
# NBVAL_CHECK_OUTPUT
claimed = []
for fixed, summary in summaries.items():
    claimed += claims.path_trends("F4", summary, "num_train", f"training images, {fixed} fixed")
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Read the two halves of the table against each other. A row that is supported with the epochs fixed
# and not with the steps fixed is about training time, not about examples. And a network trained on
# a handful of images misclassifies many test images: the rows over all paths then count transitions
# within classes, and only the rows over correct ends compare functions.
#
# ## Exercises
#
# 1. With the steps fixed, the smallest set is seen many times over. How often does a network see
#    each image there?
# 2. Does the share of paths with correct ends change with the number of training images? Why does
#    that matter?

# %% tags=["solution"]
smallest = plan[(plan["fixed"] == "steps") & (plan["num_train"] == min(sizes))].iloc[0]
print(f"{smallest['num_epochs']} times, against {num_epochs} with the epochs fixed")

# %% tags=["solution"]
correct = both[both["selection"] == "correct"]
usable = correct.groupby(["fixed", "num_train", "kind"])["num_paths"].mean().unstack("kind")
print((usable / num_pairs).round(3))

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
