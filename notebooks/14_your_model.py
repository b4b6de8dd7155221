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
# # Measuring a network of your own
#
# Every finding of this study is a measurement of networks that the study trained. This notebook
# measures one that it did not: any callable from images $(n, C, H, W)$ to logits
# $(n, \text{classes})$, on any dataset of `lib.data`.
#
# But first a question that every instrument owes an answer: **does it read what is known to be
# there?** Two functions have a frequency that can be written down. Along a straight path with unit
# direction $e$,
#
# $$f(x) = \sin(2\pi\nu\,\langle u, x\rangle) \;\text{ has frequency }\;
# \nu\,\lvert\langle u, e\rangle\rvert, \qquad
# f(x) = Wx \;\text{ is a line: nothing is left above any frequency.}$$

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn

from lib import claims, data, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.study import report
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the reference network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: paths join these
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate of the reference at the start of the cosine
augmentation: str = "none"  # name: of the reference, none, or steps joined by +, see lib.data
num_pairs: int = 200  # paths: within classes, and as many between classes
spacing: float = 0.15  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: power at or above it is high-frequency
precision: str = "auto"  # name: of training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## Functions of known frequency
#
# The sine's frequency $\nu$ is chosen so that about half of the paths cross it faster than the
# cutoff. A path's share of power above the cutoff should then be 1 or 0; only paths close to the
# cutoff may lie between.

# %%
images = data.load(dataset, num_test)
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
size = int(np.prod(images.image_shape))
first = torch.Generator().manual_seed(0)
direction = nn.functional.normalize(torch.randn(size, generator=first), dim=0)
frequency = 1.5 * cutoff * size**0.5
others = images.num_classes - 1


def sine(x):
    wave = torch.sin(2 * torch.pi * frequency * (x.flatten(1) @ direction.to(x.device)))
    return torch.stack([wave, *[0 * wave] * others], dim=1)


def linear(x):
    again = torch.Generator().manual_seed(0)
    weights = torch.randn(size, images.num_classes, generator=again) / size**0.5
    return x.flatten(1) @ weights.to(x.device)


# %%
of_sine = measure.measure(sine, images, protocol, device)
of_line = measure.measure(linear, images, protocol, device)
pixels = images.normalize(images.x_test).flatten(1)
steps = pixels[of_sine.paths["b"]] - pixels[of_sine.paths["a"]]
known = (frequency * (steps @ direction).abs() / steps.norm(dim=1)).numpy()

# %%
figure, ax = plots.plt.subplots()
ax.scatter(known, of_sine.paths["power_logits"], s=12)
ax.axvline(cutoff, color="k", ls="--", lw=1)
ax.set_title("A sine is found where it is")
ax.set_xlabel("known frequency along the path (cycles/nu)")
ax.set_ylabel(f"measured share above {cutoff:g} cycles/nu")
figure.tight_layout()

# %% [markdown]
# ## A network of your own
#
# Here stands any torch code: this small convolutional network, and a training loop as one writes
# it. Images come normalised by `images.normalize`, because one nu is one unit of L2 norm in those
# pixels.


# %%
def your_network():
    convolutions = [
        *(nn.Conv2d(images.image_shape[0], 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2)),
    ]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(128, images.num_classes))


def train_your_network(seed):
    torch.manual_seed(seed)
    network = your_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    chosen = torch.randperm(len(images.x_train))[:num_train]
    for _ in range(num_epochs):
        for batch in chosen[torch.randperm(len(chosen))].split(batch_size):
            logits = network(images.normalize(images.x_train[batch]))
            loss = nn.functional.cross_entropy(logits, images.y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


yours = {seed: train_your_network(seed) for seed in seeds}

# %% [markdown]
# Three lines measure it, with an interval over images: `images = data.load(...)`, and without a
# protocol of one's own `measure.measure(network, images)` chooses spacing and cutoff.

# %%
of_yours = {
    seed: measure.measure(network, images, protocol, device) for seed, network in yours.items()
}
intervals = measure.intervals(of_yours[seeds[0]])
intervals.drop(columns=["column", "selection"]).round(4)

# %% [markdown]
# Is the spacing narrow enough? At half of it the share above the cutoff should not move by more
# than 10 %.

# %%
moved = measure.aliasing(yours[seeds[0]], images, protocol, device)
verdict = "narrow enough" if moved <= 0.1 else "too wide"
print(f"at half the spacing the share moves by {moved:.1%}: {verdict}")

# %% [markdown]
# ## Beside reference networks
#
# The study's own network for this dataset, of the same seeds, along the same paths. `share_below`
# is the share of reference runs that have a lower value.

# %%
common = TrainingConfig.fields_in(parameters)
references = [TrainingConfig(**common, seed=seed) for seed in seeds]
trained = runs.sweep(references, device)
summary, _ = measure.sweep(references, protocol, device)
your_accuracy = np.mean([one.network["accuracy"][0] for one in of_yours.values()])
accuracy = summary.drop_duplicates("key")["test_accuracy"].mean()
print(f"accuracy: yours {your_accuracy:.3f}, {model} {accuracy:.3f}")
placed = report.standing(intervals, summary)
columns = ["measure", "kind", "estimate", "low", "high", "num_references", "share_below"]
placed[columns].round(4)

# %%
yours_by_seed = [
    measure.means(measurement).assign(seed=seed, network="yours")
    for seed, measurement in of_yours.items()
]
both = pd.concat([*yours_by_seed, summary.assign(network=model)], ignore_index=True)
share = f"share above {cutoff:g} cycles/nu"
panels = (
    ("hff", "all", "Published: HFF, all paths", "HFF"),
    ("power_softmax", "correct", "Corrected: softmax, correct ends", share),
    ("power_logits", "correct", "Corrected: logits, correct ends", share),
)
options = {"errorbar": ("pi", 100), "linestyle": "none", "dodge": 0.2}
figure, axes = plots.plt.subplots(1, 3, figsize=(14, 4))
for ax, (column, selection, title, ylabel) in zip(axes, panels, strict=True):
    shown = both[both["selection"] == selection]
    options |= {"ax": ax, "legend": ax is axes[-1]}
    plots.sns.pointplot(shown, x="network", y=column, hue="kind", **options)
    xlabel = f"network (mean and range over {len(seeds)} seeds)"
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
plots.sns.move_legend(axes[-1], title="path", **plots.BESIDE)
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# The first two are about the instrument, with functions that nobody trained. The others ask whether
# the two networks differ: each seed gives one difference, and the interval is a bootstrap over
# seeds.

# %%
away = np.abs(np.log(known / cutoff)) > np.log(1.5)
right = (of_sine.paths["power_logits"] > 0.5).to_numpy() == (known > cutoff)
right_share, left_over = right[away].mean(), of_line.paths["absolute_logits"].max()
sine_statement = "a sine away from the cutoff is on its right side"
line_statement = "a linear function has no power above the cutoff"
left_over_statistic = "mean square of standardised logits"

# %%
# NBVAL_CHECK_OUTPUT
claimed = [
    claims.exact("14", sine_statement, "share of paths", right_share, "> 0.9", 2),
    claims.exact("14", line_statement, left_over_statistic, left_over, "< 0.000001", 4),
]
for kind in ("between", "within"):
    for name, column, selection, title in measure.PATH_MEASURES:
        chosen = both[(both["kind"] == kind) & (both["selection"] == selection)]
        by_network = chosen.pivot(index="seed", columns="network", values=column)
        difference = by_network["yours"] - by_network[model]
        statement = f"{kind} classes, {title} differs from the reference's"
        tested = ("yours - reference", difference, difference.index, "!= 0")
        claimed.append(claims.over_seeds("14", name, statement, *tested))
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# If the first two claims hold, a high reading means high frequency. A difference between two
# networks in a corrected row is one of their functions along these paths, at these end points;
# where it appears for the softmax and not for the logits, the networks differ in confidence. Read
# accuracy beside it: HFF over all paths is higher within classes for whichever network is wrong
# more often.
#
# Pretrained networks by name, on a folder of photos, are measured from the command line:
# `study measure timm:NAME --data folder:PATH`. [Notebook 12](12_imagenet.ipynb) does so for
# ImageNet.
#
# ## Exercises
#
# 1. Scale the logits of your network by 3. Which rows of the table change, and which cannot?
# 2. How fast must a sine be before this spacing no longer sees it?

# %% tags=["solution"]
scaled = measure.measure(lambda x: 3 * yours[seeds[0]](x), images, protocol, device)
beside = placed[["measure", "kind", "estimate"]]
beside.assign(**{"scaled by 3": measure.intervals(scaled)["estimate"]}).round(4)

# %% tags=["solution"]
nyquist = 0.5 / spacing
print(f"above the Nyquist frequency, 1 / (2 spacing) = {nyquist:.2f} cycles/nu along the path")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
