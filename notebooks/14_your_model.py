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
# # Is your network's function of higher frequency than another's?
#
# > **You will be able to** check an instrument on functions of known frequency; measure a network
# > of your own beside reference networks.
# >
# > **You need** [notebook 01](01_measuring_frequency.ipynb); a callable PyTorch network.
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [power out of band](glossary.md#power-out-of-band), [aliasing](glossary.md#aliasing),
# > [matched paths](glossary.md#matched-paths), [floor](glossary.md#floor); all in the
# > [glossary](glossary.md).

# %% [markdown]
# **What the paper reports** is about networks that were trained for it. This notebook measures one
# that was not: any callable from images $(n, C, H, W)$ to logits $(n, \text{classes})$, on any
# dataset of `lib.data`. It asks whether your network differs from a reference network of this study
# along the same paths.
#
# But first a question that every instrument owes an answer: **does it read what is known to be
# there?** Two functions have a frequency that can be written down. Along a straight path with unit
# direction $e$,
#
# $$f(x) = \sin(2\pi\nu\,\langle u, x\rangle) \;\text{ has frequency }\;
# \nu\,\lvert\langle u, e\rangle\rvert, \qquad
# f(x) = Wx \;\text{ is a line, and has none.}$$
#
# The power out of band, $E(f_c)$, and its share of the variance along the path
# ([notebook 01](01_measuring_frequency.ipynb) builds both) should say so: a share of 1 where the
# sine is faster than the cutoff, 0 where it is slower, and nothing of the line.

# %%
import dataclasses

import numpy as np
import torch
from torch import nn

from lib import data, measure, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig
from study import claims, designs, provenance, report, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of the reference network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate of the reference at the start of the cosine
augmentation: str = "none"  # name: of the reference, none, or steps joined by +
num_pairs: int = 300  # paths: within classes, and as many between classes
spacing: float = 0.05  # nu: between neighbouring points of a path
cutoff: float = 0.5  # cycles/nu: the lowest; power is also measured above 2 and 4 times it
precision: str = "auto"  # name: of the passes in training, fp32 or bf16; auto: bf16 on a GPU only
device: str = "auto"  # name: auto, cpu or cuda

# %%
parameters = check_typed(globals())
plots.style()
common = TrainingConfig.fields_in(parameters)
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
images = data.load(dataset, num_test)

# %% [markdown]
# ## Functions of known frequency
#
# The sine's direction $u$ is random, and its frequency such that about half of the paths cross it
# faster than the cutoff.

# %%
size = int(np.prod(images.image_shape))
drawn = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
direction = nn.functional.normalize(drawn[0], dim=0)
frequency = 1.5 * cutoff * size**0.5


def sine(x):
    wave = torch.sin(2 * torch.pi * frequency * (x.flatten(1) @ direction.to(x.device)))
    return nn.functional.pad(wave[:, None], (0, images.num_classes - 1))  # the other classes: 0


def linear(x):
    weights = drawn[1].outer(torch.linspace(-1, 1, images.num_classes)) / size**0.5
    return x.flatten(1) @ weights.to(x.device)


# %%
few = dataclasses.replace(protocol, num_pairs=min(num_pairs, 100))
of_sine = measure.measure(sine, images, few, device).paths
of_line = measure.measure(linear, images, few, device).paths
pixels = images.normalize(images.x_test).flatten(1)
steps = pixels[of_sine["b"].tolist()] - pixels[of_sine["a"].tolist()]
of_sine["known"] = (frequency * (steps @ direction).abs() / steps.norm(dim=1)).numpy() / cutoff
of_sine["share"] = of_sine["power_logits_1"] / of_sine["variance_logits"]

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 14.1 (predict)
#
# The next figure has a point a path: the sine's known frequency along it, in cutoffs, and the share
# that is measured above the cutoff. Draw the curve that an ideal instrument would give, and then
# where you expect this one to depart from it.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Notebook 01 measured the transfer function, at every phase. How long are these paths, in periods
# of the cutoff?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# An ideal instrument jumps from 0 to 1 at one cutoff. This one is near 0 below, rises between 1 and
# 1.5 cutoffs, where it depends on the phase and on the path's length, and stays a little below 1
# above, because a basis of some columns always explains a part of anything. Far above, a sine that
# turns more than half a cycle between two points would be read as slow: aliasing. If the points
# below the cutoff were not at 0, the later readings would mean nothing.
#
# </details>

# %% tags=["slide"]
figure, ax = plots.plt.subplots()
points = {"hue": "kind", "palette": plots.KIND_COLOURS, "s": 14, "linewidth": 0}
plots.sns.scatterplot(of_sine, x="known", y="share", ax=ax, **points)
ax.axvline(1, color="k", ls="--", lw=1)
ax.set(title=f"A sine along {len(of_sine)} paths: what is there, and what is read")
ax.set_xlabel("known frequency along the path / cutoff")
ax.set_ylabel(f"measured share above {cutoff:g} cycles/nu")
figure.tight_layout()

# %%
fast, slow = (
    of_sine.loc[which, "share"] for which in (of_sine["known"] > 1.5, of_sine["known"] < 0.8)
)
left_over = (of_line["power_logits_1"] / of_line["variance_logits"]).max()
sides = "mean share of the paths along which it is"
claimed = [
    claims.exact("14", f"a sine, {sides} faster than 1.5 cutoffs", fast.mean(), "> 0.8", 2),
    claims.exact("14", f"a sine, {sides} slower than .8 cutoffs", slow.mean(), "< 0.01", 2),
    claims.exact("14", "a linear function, largest share of all paths", left_over, "< 0.000001", 6),
]
print(f"{len(fast)} paths faster than 1.5 cutoffs, {len(slow)} slower than .8")

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
    target = runs.resolve_device(device)
    network = your_network().to(target)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    chosen = torch.randperm(len(images.x_train))[:num_train]
    for _ in range(num_epochs):
        for batch in chosen[torch.randperm(len(chosen))].split(batch_size):
            logits = network(images.normalize(images.x_train[batch].to(target)))
            loss = nn.functional.cross_entropy(logits, images.y_train[batch].to(target))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


with runs.single_thread():  # no faster with more, and slower beside other work
    yours = {seed: train_your_network(seed) for seed in seeds}

# %% [markdown]
# Three lines measure it, with intervals over images: `images = data.load(...)`, and two of these.
# (A protocol says along which paths and above which frequencies; without one `measure.measure`
# chooses for these images. A seed draws pairs of its own.)

# %%
first, own = seeds[0], measure.of_seed(protocol, seeds[0])
of_yours = {first: measure.measure(yours[first], images, own, device)}
intervals = measure.intervals(of_yours[first])
titles = measure.titles(cutoff)
intervals.replace({"measure": titles}).set_index(["measure", "kind"]).map("{:.3g}".format)

# %% [markdown]
# Is the spacing narrow enough? At a quarter of it, the power above the cutoff should not move by
# more than 10 %.

# %%
moved = measure.aliasing(yours[first], images, own, device)
said = "narrow enough" if moved <= report.ALIASING_TOLERANCE else "too wide"
print(f"at a quarter of the spacing the power above the cutoff moves by {moved:.1%}: {said}")

# %% [markdown]
# ## Beside reference networks
#
# The study's own network for this dataset, one a seed. First of all roughly: where is your first
# network among them? `share_below` is the share of reference runs with a lower value.

# %%
references = [TrainingConfig(**common, seed=seed) for seed in seeds]
trained = runs.sweep(references, device)
placed = report.standing(intervals, measure.sweep(references, protocol, device))
columns = ["estimate", "low", "high", "num_references", "share_below"]
placed.replace({"measure": titles}).set_index(["measure", "kind"])[columns].map("{:.3g}".format)

# %% [markdown]
# Those references were measured along paths of their own. To *compare*, both networks of a seed go
# along the same pairs, and only paths count whose two ends both classify correctly. Each seed draws
# its own pairs, so that the spread over seeds holds the spread over images.

# %%
networks, measurements = [], []
for seed, run in zip(seeds, trained, strict=True):
    if seed not in of_yours:
        own = measure.of_seed(protocol, seed)
        of_yours[seed] = measure.measure(yours[seed], images, own, device)
    networks.append({"model": "yours", "seed": seed, "key": f"yours-{seed}", "epoch": num_epochs})
    measurements.append(of_yours[seed])
    networks.append({"model": model, "seed": seed, "key": run.key, "epoch": num_epochs})
    measurements.append(measure.read_measurement(run, num_epochs, protocol))
summary = measure.compare(networks, measurements)
print(measure.matched_counts(summary))
print(measure.left_out(summary, "model"))
columns = ["test_accuracy", "num_paths", "hff", "changes", measure.PRIMARY, "power_per_change"]
summary.groupby(["kind", "model"])[columns].mean().map("{:.3g}".format)

# %% tags=["slide"]
spectra = measure.spectra(summary[summary["included"]], cutoff)
note, title = measure.matched_counts(summary), "Power above f, along the same paths"
plots.power_above(spectra, "model", legend="network", title=title, note=note)
plots.plt.show()

# %% [markdown]
# ## Claims
#
# The first three are about the instrument, with functions that nobody trained: exact. The others
# are described: each seed gives one ratio, yours against the reference's, and the interval is
# Student's over seeds. No finding of the paper is tested here, so there is no verdict.

# %%
# NBVAL_CHECK_OUTPUT
against = designs.against("model", "yours", model)
found = against(summary[summary["kind"] == "within"], "test_accuracy")
claimed.append(claims.described("14", "test accuracy", *found))
effects = {}
for kind in measure.KINDS:
    rows = summary[(summary["kind"] == kind) & summary["included"]]
    for column in ("hff", measure.PRIMARY, "power_logits_1"):
        effects[kind, column], text = found = against(claims.without_floor(rows), column)
        claimed.append(claims.described("14", f"{kind} classes, {titles[column]}", *found))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
missed = [claim.statement for claim in claimed[:3] if claim.effect.reason]
print(f"The instrument: {3 - len(missed)} of 3 exact statements hold.", "; ".join(missed))
for (kind, column), effect in effects.items():
    side = "higher" if effect.estimate > 0 else "lower"
    decided = (
        f"{side}, p = {effect.p:.2g}" if effect.p <= 0.05 else f"inconclusive, p = {effect.p:.2g}"
    )
    reading = f"no test ({effect.reason})" if effect.reason else decided
    print(f"{kind} classes, {titles[column]}: yours is x {np.exp(effect.estimate):.3g}, {reading}.")

# %% [markdown]
# ## What to make of it
#
# If the first three claims hold, the share tells frequencies above the cutoff from those below.
# Power also grows with the height of what it sees, so with confidence (exercise 14.3): where a
# difference between two networks appears for the softmax and not for the logits, that is it. Else
# it is one of their functions along these paths, at these end points. Read accuracy beside it: HFF
# counts transitions, and within a class there is one where an end is wrong.
#
# Pretrained networks by name, on a folder of photos, are measured from the command line:
# `study measure timm:NAME --data folder:PATH`. [Notebook 12](12_imagenet.ipynb) does so for
# ImageNet.

# %% [markdown]
# ## Exercises
#
# Exercise 14.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 14.2 (implement)
#
# Write what the horizontal axis of that figure is: the frequency of $\sin(2\pi\nu\langle u,
# x\rangle)$ along the straight path from $a$ to $b$.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Only the part of $u$ along the path counts. The direction of the path has unit length.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def frequency_along(nu, u, a, b):
    """Cycles per unit of length along the path from a to b; u, a, b: (d,), u of unit length."""
    # the unit vector of the path, and how much of u points along it
    ### BEGIN SOLUTION
    step = np.asarray(b) - np.asarray(a)
    return nu * abs(np.dot(u, step)) / np.linalg.norm(step)
    ### END SOLUTION


# %% tags=["check"]
found = frequency_along(2.0, [1, 0], [0, 0], [5, 0])
assert np.isclose(found, 2), f"straight along u: all of it, 2, not {found}"
found = frequency_along(2.0, [1, 0], [3, 1], [3, 7])
assert np.isclose(found, 0), f"across u nothing happens: 0, not {found}"
found = frequency_along(2.0, [1, 0], [4, 4], [1, 0])
assert np.isclose(found, 1.2), f"three fifths of it, whichever way: 1.2, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 14.3 (think)
#
# Scale the logits of your network by 3. Which measures change, and which cannot? Give reasons
# before you measure it.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `measure.measure` takes any callable. Compare the tables of `measure.intervals`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
functions = {"as it is": yours[first], "scaled": lambda x: 3 * yours[first](x)}
both = {
    name: measure.intervals(measure.measure(function, images, few, device))
    for name, function in functions.items()
}
ratio = both["scaled"]["estimate"] / both["as it is"]["estimate"]
table = both["scaled"][["measure", "kind"]].assign(ratio=ratio.map("{:.3g}".format))
table.replace({"measure": titles}).set_index(["measure", "kind"])

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The predicted classes are the same, so accuracy and class changes stay, and standardised logits
# stay to the digit, since they are divided by their own spread. All that is read of the softmax
# moves: its transitions become steeper. No training took place, only a change of temperature. A
# difference between two networks in the softmax alone may be no more than this.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 14.4 (vary)
#
# How fast must a sine be before this spacing no longer sees it? Vary its frequency, and make one
# that is read as slow.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Above half a cycle a point it looks like a slower one.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
between = protocol.joined(images)["between"]
t = spacing * torch.arange(between.points.min().item(), dtype=torch.float64)
for turns in (0.4, 0.9, 0.99):
    curve = torch.sin(2 * torch.pi * turns / spacing * t)[None, :, None]
    share = measure.out_of_band_share(curve, spacing, cutoff).item()
    print(f"{turns / spacing:.3g} cycles/nu: share {share:.2f}", end="; ")
print(f"the Nyquist frequency is {0.5 / spacing:.3g}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# At points $\Delta$ apart a sine of $f$ and one of $1/\Delta - f$ give the same values: what turns
# by .99 of a cycle from point to point looks like one that turns by .01, backwards. Power is not
# lost by aliasing, it is moved below. A network is no sine, and its power falls with frequency; so
# quartering the spacing once, and seeing that little moves, is the check that counts.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 14.5 (extend)
#
# Measure something of your own: another dataset, a network that you trained, or one by name. What
# protocol would `measure.measure` choose for these images by itself, and what has to be reported
# beside the numbers so that another can compare?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `study measure --help` names what can be chosen; `dir(measure)` has what chooses.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
measure.default_protocol(images)

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Beside the numbers belong: the dataset and how its images are normalised (a nu depends on it),
# spacing, cutoff and number of pairs, the accuracy and the number of matched paths, the floor, what
# a quarter of the spacing moves, and intervals over images for one network, over seeds for a kind
# of network. Two readings at different cutoffs, in different pixels or along different paths are
# not comparable, however many digits they have.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
