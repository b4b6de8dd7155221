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
# Every finding of this study is a measurement of networks that the study trained. This notebook measures one that it did
# not: any callable from images $(n, C, H, W)$ to logits $(n, \text{classes})$, on any dataset of `lib.data`.
#
# But first a question that every instrument owes an answer: **does it read what is known to be there?** Two functions have a
# frequency that can be written down. Along a straight path with unit direction $e$,
#
# $$f(x) = \sin(2\pi\nu\,\langle u, x\rangle) \;\text{ has frequency }\; \nu\,\lvert\langle u, e\rangle\rvert, \qquad
# f(x) = Wx \;\text{ is a line: nothing is left above any frequency.}$$

# %%
import numpy as np
import pandas as pd
import torch
from torch import nn

from lib import claims, data, measure, plots, report, runs
from lib.parameters import check_typed
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
augmentation: str = "none"  # name: of the reference, none, or steps joined by +, see lib.augment
num_pairs: int = 200  # paths: within classes, and as many between classes
spacing: float = 0.15  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: power at or above it is high-frequency
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()

# %% [markdown]
# ## Functions of known frequency
#
# The sine's frequency $\nu$ is chosen so that about half of the paths cross it faster than the cutoff. A path's share of
# power above the cutoff should then be 1 or 0; only paths close to the cutoff may lie between.

# %%
images = data.load(dataset, num_test)
how = measure.MeasurementConfig(num_pairs=num_pairs, spacing=spacing, cutoff=cutoff)
size = int(np.prod(images.image_shape))
direction = nn.functional.normalize(torch.randn(size, generator=torch.Generator().manual_seed(0)), dim=0)
frequency = 1.5 * cutoff * size**0.5


def sine(x):
    wave = torch.sin(2 * torch.pi * frequency * (x.flatten(1) @ direction.to(x.device)))
    return torch.stack([wave, *[0 * wave] * (images.num_classes - 1)], dim=1)


def linear(x):
    weights = torch.randn(size, images.num_classes, generator=torch.Generator().manual_seed(0)) / size**0.5
    return x.flatten(1) @ weights.to(x.device)


of_sine, of_line = measure.measure(sine, images, how, device), measure.measure(linear, images, how, device)
pixels = images.normalize(images.x_test).flatten(1)
steps = pixels[of_sine.paths["b"]] - pixels[of_sine.paths["a"]]
known = (frequency * (steps @ direction).abs() / steps.norm(dim=1)).numpy()

# %%
ax = plots.plt.subplots()[1]
ax.scatter(known, of_sine.paths["power_logits"], s=12)
ax.axvline(cutoff, color="k", ls="--", lw=1)
ax.set(title="A sine is found where it is", xlabel="known frequency along the path (cycles/nu)",
       ylabel=f"measured share above {cutoff:g} cycles/nu");  # fmt: skip

# %% [markdown]
# ## A network of your own
#
# Here stands any torch code: this small convolutional network, and a training loop as one writes it. Images come
# normalised by `images.normalize`, because one nu is one unit of L2 norm in those pixels.

# %%
def train_your_network(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(images.image_shape[0], 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, images.num_classes),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    chosen = torch.randperm(len(images.x_train))[:num_train]
    for _ in range(num_epochs):
        for batch in chosen[torch.randperm(len(chosen))].split(batch_size):
            loss = nn.functional.cross_entropy(network(images.normalize(images.x_train[batch])), images.y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


yours = {seed: train_your_network(seed) for seed in seeds}

# %% [markdown]
# Three lines measure it, with an interval over images: `images = data.load(...)`, and
# without a protocol of one's own `measure.measure(network, images)` chooses spacing and cutoff.

# %%
found_yours = {seed: measure.measure(network, images, how, device) for seed, network in yours.items()}
measure.table(found_yours[seeds[0]]).drop(columns=["column", "selection"]).round(4)

# %% [markdown]
# Is the spacing narrow enough? At half of it the share above the cutoff should not move by more than 10 %.

# %%
moved = report.aliasing(yours[seeds[0]], images, how, device)
print(f"at half the spacing the share moves by {moved:.1%}: {'narrow enough' if moved <= 0.1 else 'too wide'}")

# %% [markdown]
# ## Beside reference networks
#
# The study's own network for this dataset, of the same seeds, along the same paths. `share_below` is the share of
# reference runs that have a lower value.

# %%
names = ("dataset", "model", "num_epochs", "num_train", "num_test", "batch_size", "lr", "precision", "augmentation")
references = [TrainingConfig(**{name: parameters[name] for name in names}, seed=seed) for seed in seeds]
made = runs.sweep(references, device)
summary = measure.final(references, how, device)[0]
placed = report.standing(measure.table(found_yours[seeds[0]]), summary)
print(f"accuracy: yours {np.mean([one.network['accuracy'][0] for one in found_yours.values()]):.3f}, "
      f"{model} {summary.drop_duplicates('key')['test_accuracy'].mean():.3f}")  # fmt: skip
placed[["measure", "kind", "estimate", "low", "high", "num_references", "share_below"]].round(4)

# %%
mine = pd.concat([measure.means(found).assign(seed=seed, network="yours") for seed, found in found_yours.items()])
both = pd.concat([mine, summary.assign(network=model)], ignore_index=True)
figure, axes = plots.plt.subplots(1, 3, figsize=(14, 4))
panels = (("hff", "all", "Published: HFF, all paths"), ("power_softmax", "correct", "Corrected: softmax, correct ends"),
          ("power_logits", "correct", "Corrected: logits, correct ends"))  # fmt: skip
for ax, (column, selection, title) in zip(axes, panels, strict=True):
    plots.sns.pointplot(both[both["selection"] == selection], x="network", y=column, hue="kind", errorbar=("pi", 100),
                        linestyle="none", dodge=0.2, ax=ax, legend=ax is axes[0])  # fmt: skip
    ax.set(title=title, xlabel=f"network (mean and range over {len(seeds)} seeds)",
           ylabel="HFF" if column == "hff" else f"share above {cutoff:g} cycles/nu")  # fmt: skip
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# The first two are about the instrument, with functions that nobody trained. The others ask whether the two networks
# differ: each seed gives one difference, and the interval is a bootstrap over seeds.

# %%
# NBVAL_CHECK_OUTPUT
away = np.abs(np.log(known / cutoff)) > np.log(1.5)
right = (of_sine.paths["power_logits"] > 0.5).to_numpy() == (known > cutoff)
found = [
    claims.exact("13", "a sine away from the cutoff is on its right side", "share of paths", right[away].mean(), "> 0.9", 2),
    claims.exact("13", "a linear function has no power above the cutoff", "mean square of standardised logits",
                 of_line.paths["absolute_logits"].max(), "< 0.000001", 4),
]  # fmt: skip
for kind in ("between", "within"):
    for name, column, selection, title in claims.PATH_MEASURES:
        rows = both[(both["kind"] == kind) & (both["selection"] == selection)].pivot(index="seed", columns="network", values=column)
        found.append(claims.over_seeds("13", name, f"{kind} classes, {title} differs from the reference's", "yours - reference",
                                       rows["yours"] - rows[model], rows.index, "!= 0"))  # fmt: skip
claims.show(found)

# %%
claims.table(found)

# %% [markdown]
# ## What to make of it
#
# If the first two claims hold, a high reading means high frequency. A difference between two networks in a corrected row
# is one of their functions along these paths, at these end points; where it appears for the softmax and not for the
# logits, the networks differ in confidence. Read accuracy beside it: HFF over all paths is higher within
# classes for whichever network is wrong more often.
#
# Pretrained networks by name, on a folder of photos, are measured from the command line: `study measure timm:NAME --data
# folder:PATH`. Notebook 11 does so for ImageNet.
#
# ## Exercises
#
# 1. Scale the logits of your network by 3. Which rows of the table change, and which cannot?
# 2. How fast must a sine be before this spacing no longer sees it?

# %% tags=["solution"]
scaled = measure.measure(lambda x: 3 * yours[seeds[0]](x), images, how, device)
pd.DataFrame({"measure": placed["measure"], "kind": placed["kind"], "estimate": placed["estimate"],
              "scaled by 3": measure.table(scaled)["estimate"]}).round(4)  # fmt: skip

# %% tags=["solution"]
print(f"above the Nyquist frequency, 1 / (2 spacing) = {0.5 / spacing:.2f} cycles/nu along the path")

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
claims.record(found, made, globals())
