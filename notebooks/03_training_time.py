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
# # With training, function frequency rises between classes and falls within classes
#
# **Finding F2.** Walk in a straight line from one test image to another and watch the network's
# output. Between two classes the output has to change; within a class it should not. The paper
# reports that, as training goes on, the function's frequency along paths **between** classes rises,
# and along paths **within** a class falls.
#
# A path from $x_0$ to $x_1$ is sampled every $\Delta$ nu (one nu is one unit of L2 norm in
# normalised pixels):
#
# $$x(t) = x_0 + t\,\frac{x_1 - x_0}{\lVert x_1 - x_0\rVert},
#   \qquad t = 0, \Delta, 2\Delta, \dots < \lVert x_1 - x_0\rVert .$$
#
# The outputs along each path go through a Fourier transform, and a path becomes one number:
#
# * **published**: HFF, the share of $\sum_k |\hat p(k)|$ above a tenth of the bins, of the raw
#   softmax. Notebook 01 shows that any transition at all gives about 0.3, so that HFF counts
#   transitions more than it sees frequency.
# * **corrected**: subtract the line through the two ends, take $|\hat p(k)|^2$, drop DC, and report
#   the share of the power above a fixed frequency in cycles per nu, over paths whose two ends are
#   classified correctly.

# %%
import pandas as pd

from lib import claims, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig, checkpoint_epochs

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: wrn-DEPTH-WIDTH, resnet8-WIDTH or mlp-DEPTH-WIDTH
seeds: list[int] = [0, 1, 2]  # seed: one replication each
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: paths join these
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +
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
# One run a seed. Each keeps its weights after 1, 2, 4, ... epochs; every kept network, and the
# untrained one (epoch 0), is measured along the same paths.

# %%
configs = [TrainingConfig(**TrainingConfig.fields_in(parameters), seed=seed) for seed in seeds]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
epochs = [0, *checkpoint_epochs(num_epochs)]
counts = {"networks": len(seeds), "paths within": num_pairs, "paths between": num_pairs}
pd.DataFrame({"epoch measured": epochs, **counts})

# %%
trained = runs.sweep(configs, device)
summary, spectra = measure.sweep(configs, protocol, device, epochs)

# %% [markdown]
# ## What the runs show
#
# First what the networks have learned, then the published measure over all paths, then the
# corrected one. "All" paths include those whose ends the network gets wrong; "correct" paths do
# not.

# %%
history = pd.concat([run.history for run in trained], ignore_index=True)
labels = {"xlabel": "epoch", "ylabel": "test accuracy", "title": "Test accuracy over training"}
ax = plots.over_seeds(history, "epoch", "test_accuracy", marker="", **labels)

# %%
later = summary[summary["epoch"] > 0]
plots.published_and_corrected(later, "epoch", "epoch", cutoff, logx=True)

# %% [markdown]
# A share says where the power lies, not how much there is. Its counterpart is the absolute power
# above the cutoff. And a softmax changes with the network's confidence alone; calibrating its
# temperature, or looking at centred logits in units of their standard deviation, takes that away.

# %%
correct = later[later["selection"] == "correct"]
views = {"softmax": "softmax", "calibrated": "softmax, calibrated temperature"}
views |= {"logits": "standardised logits"}
title = "Corrected measures over training, paths with correct ends"
options = {"xlabel": "epoch", "legend": "path", "logx": True, "title": title}
for column, unit in (("power", "share"), ("absolute", "mean square")):
    label = f"{unit} above {cutoff:g} cycles/nu"
    panels = [(correct, f"{column}_{view}", name, label) for view, name in views.items()]
    axes = plots.row(panels, "epoch", "kind", **options)
    for ax in axes[1:]:
        ax.get_legend().remove()

# %%
some_epochs = {epochs[1], epochs[len(epochs) // 2], epochs[-1]}
plots.spectra(spectra[spectra["epoch"].isin(some_epochs)], "epoch", cutoff, "epoch")

# %% [markdown]
# ## Claims
#
# Each seed gives one rank correlation of epoch and measure; the interval is a bootstrap over seeds.

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.path_trends("F2", later, "epoch", "training time")
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# Compare the rows of the table. HFF over all paths moves with accuracy by construction: a path on
# which the prediction never changes has an HFF near zero, one on which it does has about 0.3. So as
# fewer images are misclassified, fewer paths within a class cross a boundary, and HFF falls,
# whatever the smoothness of the function. The rows restricted to correct ends take that away. What
# remains in the corrected rows is a statement about frequency.
#
# Where the rows for softmax and for logits differ, the change is one of confidence: a sharper
# softmax has more high-frequency power although the logits beneath it may be as smooth as before.
#
# ## Exercises
#
# 1. How much of the published measure is the mere presence of a transition? Compare, over paths
#    within classes at the last epoch, the mean HFF of those whose two ends are classified
#    correctly with that of the others.
# 2. Total variation needs no Fourier transform. Does it tell the same story?

# %% tags=["solution"]
last = [
    measure.read_measurement(run, num_epochs, protocol).paths.query("kind == 'within'")
    for run in trained
]
print(pd.concat(last).groupby("correct")["hff"].agg(["size", "mean"]).round(3))

# %% tags=["solution"]
labels = {"xlabel": "epoch", "ylabel": "total variation of the softmax", "legend": "path"}
labels["title"] = "Total variation along paths with correct ends"
ax = plots.over_seeds(correct, "epoch", "variation_softmax", "kind", logx=True, **labels)

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
