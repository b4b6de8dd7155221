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
# # Larger networks fit higher frequencies, and better architectures follow the same trend
#
# **Finding F3.** The paper reports that larger networks learn high frequencies faster (their
# minimum noise fitting is higher), and that across architectures, better accuracy goes with higher
# frequency between classes and lower frequency within.
#
# Two experiments. Over the **width** of one family, a label wave (notebook 02) of one frequency:
#
# $$\text{noise fitting} = \text{CE}(\text{clean labels}) - \text{CE}(\text{noisy labels}).$$
#
# Over **families** of networks, the frequency measures of notebook 03, against test accuracy. Three
# of the families differ in one thing at a time: a small CNN; the same connections with weights that
# are not shared (locally connected); and an MLP, with neither locality nor sharing.

# %%
import pandas as pd
import seaborn as sns

from lib import claims, data, measure, models, plots, provenance, runs, training
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
seeds: list[int] = [0, 1, 2]  # seed: one run each
families: list[str] = [
    "mlp-2-64",
    "cnn-8",
    "local-8",
    "resnet8-8",
    "wrn-10-1",
    "shakeshake-8-4",
    "pyramidnet-8-12",
    "vgg11-8",
    "vit-2-32",
    "mixer-2-32",
]  # name: measured along paths
widths: list[str] = ["mlp-3-16", "mlp-3-32", "mlp-3-64", "mlp-3-128"]  # name: narrow to wide
wave_epochs: int = 30  # epochs: of runs with a wave
frequency: float = 0.64  # cycles/nu: of the wave
amplitude: float = 0.4  # share: mean of the smoothing
num_epochs: int = 6  # epochs: of the others
num_train: int = 1297  # images: trained on
num_test: int = 500  # images: measured on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +
num_pairs: int = 200  # paths: within classes, as many between
spacing: float = 0.15  # nu: between points of a path
cutoff: float = 0.5  # cycles/nu: power from here on is high
precision: str = "auto"  # name: fp32, bf16; auto: bf16 on a GPU
device: str = "auto"  # name: auto, cpu, cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## The experiment

# %%
common = TrainingConfig.fields_in(parameters, but=("amplitude", "frequency"))
wave = {"wave": "radial", "frequency": frequency, "amplitude": amplitude}
noisy = common | wave | {"num_epochs": wave_epochs}
by_family = [TrainingConfig(**common, model=name, seed=seed) for seed in seeds for name in families]
by_width = [TrainingConfig(**noisy, model=name, seed=seed) for seed in seeds for name in widths]
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))

images = data.load(dataset, num_test)
sizes = {}
for name in [*families, *widths]:
    network = models.build(name, images.image_shape, images.num_classes)
    sizes[name] = models.num_parameters(network)
overview = pd.DataFrame({"parameters": sizes})
overview["paths"] = [len(seeds) * (name in families) for name in sizes]
overview["wave"] = [len(seeds) * (name in widths) for name in sizes]
overview

# %%
trained = runs.sweep([*by_family, *by_width], device)
summary, _ = measure.sweep(by_family, protocol, device)

# %% [markdown]
# ## What the runs show

# %%
history = pd.concat([run.history for run in trained]).query("wave == 'radial'")
fitting = training.wave_summary(history, ["model", "seed"])
fitting["size"] = fitting["model"].map(sizes)
minimum, slope = "minimum noise fitting (nats)", "wave slope (0 ignored, 1 fitted)"
panels = [
    (fitting, "min_noise_fitting", "Published: minimum noise fitting", minimum),
    (fitting, "final_slope", "Corrected: wave slope at the end", slope),
]
axes = plots.row(panels, "size", xlabel="parameters, over widths", logx=True)

# %%
correct = summary[summary["selection"] == "correct"]
columns = ["test_accuracy", "hff", "power_softmax", "power_logits"]
means = correct.pivot_table(index="model", columns="kind", values=columns).round(4)
means.sort_values(("test_accuracy", "within"))

# %%
title = f"One point a network: {len(families)} families, {len(seeds)} seeds"
plots.against_accuracy(summary, "model", cutoff, title)
# %% [markdown]
# Locality and weight sharing as an axis: a CNN, the same network with weights of its own at every
# position, an MLP.

# %%
axis = {"cnn": "CNN", "local": "locally connected", "mlp": "fully connected"}
family = correct["model"].str.split("-").str[0]
on_axis = correct.assign(sharing=family.map(axis)).dropna(subset="sharing")
points = {"x": "sharing", "y": "power_softmax", "order": list(axis.values()), "size": 8}
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for ax, kind in zip(axes, ("within", "between"), strict=True):
    sns.stripplot(on_axis[on_axis["kind"] == kind], **points, jitter=False, ax=ax)
    title = f"Corrected, {kind} classes: one point a seed"
    ax.set(title=title, xlabel="", ylabel=f"share above {cutoff:g} cycles/nu")
figure.tight_layout()

# %% [markdown]
# ## Claims

# %%
# NBVAL_CHECK_OUTPUT
claimed = []
for name, statement, column in (
    ("published", "min noise fitting rises with width", "min_noise_fitting"),
    ("corrected", "the fitted share of the wave rises with width", "final_slope"),
):
    headline = f"fitting of the wave rises with width|{name}"
    claim = claims.trend("F3", name, statement, fitting, "size", column, "> 0", headline)
    claimed.append(claim)
claimed += claims.path_trends("F3", summary, "test_accuracy", "accuracy over families")
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# The width experiment changes one thing; the comparison of families changes everything at once, and
# accuracy is only the name of its horizontal axis. Networks also differ in confidence: compare the
# rows for softmax with those for calibrated softmax and logits before calling a difference one of
# frequency.
#
# ## Exercises
#
# 1. Which family has the smoothest logits along paths between classes? Is it the one with the
#    fewest parameters?
# 2. Does accuracy rank the families in the same order for every seed?

# %% tags=["solution"]
between = correct[correct["kind"] == "between"]
shares = between.groupby("model")["power_logits"].mean().sort_values()
table = pd.DataFrame({"power share of logits": shares, "parameters": shares.index.map(sizes)})
print(table.round(4))

# %% tags=["solution"]
within = correct[correct["kind"] == "within"]
ranks = within.pivot(index="model", columns="seed", values="test_accuracy").rank()
print(ranks.corr().round(2))

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
