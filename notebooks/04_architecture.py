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
# **Finding F3.** The paper reports that larger networks learn high frequencies faster (their minimum noise fitting is
# higher), and that across architectures, better accuracy goes with higher frequency between classes and lower frequency
# within.
#
# Two experiments. Over the **width** of one family, a label wave (notebook 02) of one frequency:
#
# $$\text{noise fitting} = \text{CE}(\text{clean labels}) - \text{CE}(\text{noisy labels}).$$
#
# Over **families** of networks, the frequency measures of notebook 03, against test accuracy. Three of the families
# differ in one thing at a time: a small CNN; the same connections with weights that are not shared (locally connected);
# and an MLP, with neither locality nor sharing.

# %%
import pandas as pd
import seaborn as sns

from lib import claims, data, measure, models, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
seeds: list[int] = [0, 1, 2]  # seed: one replication each
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
]  # name: networks measured along paths
widths: list[str] = [
    "mlp-3-16",
    "mlp-3-32",
    "mlp-3-64",
    "mlp-3-128",
]  # name: one family, from narrow to wide
wave_epochs: int = 30  # epochs: of the runs with a label wave
frequency: float = 0.64  # cycles/nu: of the label wave
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
num_epochs: int = 6  # epochs: of every run
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
names = ("dataset", "num_epochs", "num_train", "num_test", "batch_size", "lr", "precision", "augmentation")
common = {name: parameters[name] for name in names}
by_family = [TrainingConfig(**common, model=name, seed=seed) for seed in seeds for name in families]
wave = {"wave": "radial", "frequency": frequency, "amplitude": amplitude, "num_epochs": wave_epochs}
by_width = [TrainingConfig(**common | wave, model=name, seed=seed) for seed in seeds for name in widths]
how = measure.MeasurementConfig(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff)
shown = data.load(dataset, num_test)
parameters_of = {name: models.num_parameters(models.build(name, shown.image_shape, shown.num_classes))
                 for name in dict.fromkeys([*families, *widths])}  # fmt: skip
pd.DataFrame({"parameters": parameters_of,
              "paths": {name: len(seeds) for name in families},
              "wave": {name: len(seeds) for name in widths}}).fillna(0).astype(int)  # fmt: skip

# %%
made = runs.sweep([*by_family, *by_width], device)
summary, spectra = measure.final(by_family, how, device)

# %% [markdown]
# ## What the runs show

# %%
history = pd.concat([run.history for run in made], ignore_index=True).query("wave == 'radial'")
fitting = history.groupby(["model", "seed"]).agg(
    min_noise_fitting=("noise_fitting", "min"), final_slope=("wave_slope", "last"), test_accuracy=("test_accuracy", "last")
).reset_index()  # fmt: skip
fitting["size"] = fitting["model"].map(parameters_of)
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
panels = {"min_noise_fitting": ("Published: minimum noise fitting", "minimum noise fitting (nats)"),
          "final_slope": ("Corrected: wave slope at the end", "wave slope (0 ignored, 1 fitted)")}  # fmt: skip
for ax, (column, (title, label)) in zip(axes, panels.items(), strict=True):
    plots.over_seeds(fitting, "size", column, ax=ax, title=title, xlabel="parameters, over widths", ylabel=label)
    ax.set_xscale("log")
figure.tight_layout()

# %%
correct = summary[summary["selection"] == "correct"]
columns = ["test_accuracy", "hff", "power_softmax", "power_logits"]
correct.pivot_table(index="model", columns="kind", values=columns).round(4).sort_values(("test_accuracy", "within"))

# %%
plots.against_accuracy(summary, "model", cutoff, f"One point a network: {len(families)} families, {len(seeds)} seeds");
# %% [markdown]
# Locality and weight sharing as an axis: a CNN, the same network with weights of its own at every position, an MLP.

# %%
axis = {"cnn": "CNN", "local": "locally connected", "mlp": "fully connected"}
on_axis = correct.assign(sharing=correct["model"].str.split("-").str[0].map(axis)).dropna(subset="sharing")
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for ax, kind in zip(axes, ("within", "between"), strict=True):
    rows = on_axis[on_axis["kind"] == kind]
    sns.stripplot(rows, x="sharing", y="power_softmax", order=list(axis.values()), ax=ax, size=8, jitter=False)
    ax.set(title=f"Corrected, {kind} classes: one point a seed", xlabel="", ylabel=f"share above {cutoff:g} cycles/nu")
figure.tight_layout()

# %% [markdown]
# ## Claims

# %%
# NBVAL_CHECK_OUTPUT
found = [
    claims.trend(
        "F3",
        "published",
        "min noise fitting rises with width",
        fitting,
        "size",
        "min_noise_fitting",
        "> 0",
        "fitting of the wave rises with width|published",
    ),
    claims.trend("F3", "corrected", "the fitted share of the wave rises with width", fitting, "size", "final_slope", "> 0",
                 "fitting of the wave rises with width|corrected"),
    *claims.path_trends("F3", summary, "test_accuracy", "accuracy over families"),
]  # fmt: skip
claims.show(found)

# %%
claims.table(found)

# %% [markdown]
# ## What to make of it
#
# The width experiment changes one thing; the comparison of families changes everything at once, and accuracy is only the
# name of its horizontal axis. Networks also differ in confidence: compare the rows for softmax with those for calibrated
# softmax and logits before calling a difference one of frequency.
#
# ## Exercises
#
# 1. Which family has the smoothest logits along paths between classes? Is it the one with the fewest parameters?
# 2. Does accuracy rank the families in the same order for every seed?

# %% tags=["solution"]
between = correct[correct["kind"] == "between"].groupby("model")["power_logits"].mean().sort_values()
print(between.rename("power share of logits").to_frame().assign(parameters=between.index.map(parameters_of)).round(4))

# %% tags=["solution"]
ranks = correct[correct["kind"] == "within"].pivot(index="model", columns="seed", values="test_accuracy").rank()
print(ranks.corr().round(2))

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
claims.record(found, made, globals())
