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
# # Does perturbing images with a spectrum of f or 1/f move the frequency of the learned function?
#
# > **You will be able to** choose the control that leaves only the effect in question; say what "no
# > effect" means by an interval.
# >
# > **You need** [notebook 03](03_training_time.ipynb); [09](09_image_frequency.ipynb) for image
# > frequency.
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [label smoothing](glossary.md#label-smoothing), [control](glossary.md#control),
# > [verdict](glossary.md#verdict); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F9.** As augmentation, the released code adds a fixed pattern $\delta$ of length
# $\epsilon$ nu to training images and smooths their labels by one half:
#
# $$x \leftarrow x + \epsilon\,\frac{\delta}{\lVert\delta\rVert}, \qquad
# y \leftarrow \tfrac12\,y + \tfrac{1}{2C} .$$
#
# A pattern is the sum of all Fourier basis images, each with amplitude $r^2$ (called `f`) or
# $1/r^2$ (called `1/f`), $r$ its image frequency. The paper trains with a mixture and reports that
# it moves function frequency, and not which way: so the claims ask whether each pattern moves it at
# all.
#
# Half of what the augmentation does has nothing to do with a pattern: it smooths labels. So the
# comparison is with the same smoothing of labels and images left alone, and is told against the
# size of smoothing's own effect. What is measured is $E(f_c)$, the power of the softmax
# out of the band below $f_c$ along straight paths between test images
# ([notebook 01](01_measuring_frequency.ipynb) builds it): one $\ln(E / E_\text{smoothing})$ a seed.

# %%
import numpy as np
import pandas as pd
import torch

from lib import data, measure, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import conditions
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7]  # seed: one replication each
norms: list[float] = [1.0]  # nu: lengths of the perturbation; the claims take the greatest
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
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

# %% [markdown]
# ## The two patterns
#
# All basis images of the sum start in phase, so that they add up in one place:

# %%
arms, norm = ("f", "1/f"), max(norms)
shown = data.load(dataset, num_test)
images = shown.normalize(shown.x_test)
channels, size, _ = shown.image_shape
patterns = {arm: data.named_direction(arm, size, channels).float() for arm in arms}
figure, axes = plots.plt.subplots(2, 2, figsize=(6, 6))
for line, (arm, pattern) in zip(axes, patterns.items(), strict=True):
    titles = (f"pattern {arm}", f"an image + {norm:g} nu of {arm}")
    for ax, title, pixels in zip(line, titles, (pattern, images[0] + norm * pattern), strict=True):
        grey = ax.imshow(pixels.mean(0), cmap="gray")
        figure.colorbar(grey, ax=ax, shrink=0.8)
        ax.set(title=title, xticks=[], yticks=[])
figure.suptitle("Patterns, mean over channels (std of the data)")
figure.tight_layout()

# %%
for arm, pattern in patterns.items():
    centred = pattern.mean(0).roll((size // 2, size // 2), (0, 1))  # the image wraps around
    near = centred[size // 2 - 1 : size // 2 + 2, size // 2 - 1 : size // 2 + 2]
    share = near.square().sum() / centred.square().sum()
    bright = "bright" if near[1, 1] > 0 else "dark"
    print(
        f"{arm}: a {bright} corner; {share:.0%} of its power is in that pixel and its neighbours."
    )
median = images.flatten(1).norm(dim=1).median()
print(f"{norm:g} nu is {norm / median:.0%} of the length of an image in the median.")

# %% [markdown]
# Their 2-D Fourier power by image frequency, beside that of the test images:

# %%
steps = torch.fft.fftfreq(size, 1 / size)
radius = (steps[:, None] ** 2 + steps[None] ** 2).sqrt()
inside, spectra = (radius >= 1) & (radius <= size / 2), []
stacks = {arm: pattern[None] for arm, pattern in patterns.items()} | {"test images": images}
for name, stack in stacks.items():
    power = torch.fft.fft2(stack.double()).abs().square().mean((0, 1))
    columns = {"radius": radius[inside].round().numpy(), "power": (power / power.sum())[inside]}
    spectra.append(pd.DataFrame(columns).groupby("radius", as_index=False).mean().assign(of=name))
    steepness = np.polyfit(*np.log([radius[inside], power[inside]]), 1)[0]
    print(f"{name}: power goes as image frequency to the {steepness:.1f}")

# %% tags=["slide"]
spectra = pd.concat(spectra, ignore_index=True)
ax = plots.sns.lineplot(spectra, x="radius", y="power", hue="of", marker="o")
ax.set(xscale="log", yscale="log", title="Spectra of the patterns and of the test images")
ax.set(xlabel="image frequency (cycles per image width)", ylabel="share of power, a frequency")
legend = ax.legend(title="", **plots.SMALL)

# %% [markdown]
# ## The experiment
#
# Every training image gets the pattern, anew in each batch. (The released code adds it to the
# training set itself, epoch after epoch, so that it accumulates.)

# %%
by_arm = conditions.by_frequency_augmentation(common, norms, seeds)
fields = ["augmentation", "wave", "amplitude"]
plan = {arm: [getattr(config, name) for name in fields] for (arm, _), config in by_arm.items()}
pd.DataFrame(plan, index=fields).T.assign(seeds=len(seeds))

# %%
trained = dict(zip(by_arm, runs.sweep(by_arm.values(), device), strict=True))
summary = measure.sweep(by_arm.values(), protocol, device)
arm_of = {run.key: arm for (arm, _), run in trained.items()}
summary["arm"] = summary["key"].map(arm_of)
print(measure.matched_counts(summary), measure.left_out(summary, "arm"))

# %% [markdown]
# ## What the runs show
#
# Every network along the same paths of its seed; a dot a seed.

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 10.1 (predict)
#
# The next figures show the power of every network, and three effects as ratios of power: smoothing
# against none, then each pattern against smoothing alone. Before you run them: which is the
# largest, and on which side of 1 does each lie? Would you dare a side for f and 1/f?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# What do labels smoothed by one half do to the height of a transition of the softmax, to its
# steepness, and to a softmax that was flat?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Smoothing is the largest, and has nothing to do with any pattern. The softmax has no longer to
# reach 1: transitions between classes are lower, and power goes with the square of their height;
# and logits need not grow, so transitions are less steep as well, which takes far more of the power
# above a cutoff. Within classes it can go either way: where a softmax was sure and flat, as with
# digits, one that is less sure shows every bump of its logits; where it was not, as with CIFAR-10,
# its bumps get lower too. What a *fixed* pattern adds is small beside that, since a
# network can learn to ignore one direction. The paper names no side, so a claim asks whether
# anything moves. Had the comparison been with "none", smoothing's effect would have been taken for
# the pattern's.
#
# </details>

# %% tags=["slide"]
panels = {"hff": "HFF, all paths", measure.PRIMARY: f"power above {cutoff:g} cycles/nu, matched"}
options = {"palette": plots.KIND_COLOURS, "dodge": True, "size": 4}
figure, axes = plots.plt.subplots(1, 2, figsize=(12, 4.5))
for ax, (column, label) in zip(axes, panels.items(), strict=True):
    plots.sns.stripplot(summary, x="arm", y=column, hue="kind", ax=ax, **options)
    ax.set(xlabel="", ylabel=label)
    ax.legend(title="path", **plots.SMALL)
for kind, colour in plots.KIND_COLOURS.items():
    floor = summary[summary["kind"] == kind].groupby("arm", sort=False)["floor_softmax_1"].mean()
    axes[1].plot(floor.index, floor, color=colour, ls="--", lw=1)
axes[1].set_yscale("log")
counted = measure.matched_counts(summary)
figure.suptitle(
    f"By augmentation, {len(seeds)} seeds (dashed: floor). {counted}", fontsize="medium"
)
figure.tight_layout()

# %% [markdown]
# The two patterns as ratios to smoothing alone, paired by seed, above each cutoff (values at the
# floor are left out):

# %%
above = measure.spectra(claims.without_floor(summary), cutoff).query("output == 'softmax'")
own = ["seed", "kind", "frequency"]
reference = above[above["arm"] == "smoothing"].set_index(own)["power"].rename("of_smoothing")
ratios = above[above["arm"].isin(arms)].join(reference, on=own)
ratios["ratio"] = ratios["power"] / ratios["of_smoothing"]
parts = [(ratios[ratios["kind"] == kind], "ratio", f"{kind} classes") for kind in measure.KINDS]
panels = [(*part, "ratio of the power above f") for part in parts]
options = {"legend": "pattern", "xlabel": "f (cycles/nu)", "logx": True, "note": counted}
axes = plots.row(panels, "frequency", "arm", title="Power against smoothing alone", **options)
for ax in axes:
    ax.axhline(1, color="k", lw=1)
    ax.set_xticks(ax.get_xticks(), [f"{tick:.3g}" for tick in ax.get_xticks()])

# %%
columns = ["test_accuracy", "num_paths", "hff", "changes", measure.PRIMARY, "power_per_change"]
summary.groupby(["kind", "arm"], sort=False)[columns].mean().map("{:.3g}".format)

# %% [markdown]
# Smoothing's own effect, and what each pattern adds to it, on one axis:

# %%
smoothed = "smoothing against none"
contrasts = {smoothed: ("smoothing", "none")}
contrasts |= {f"{arm} against smoothing": (arm, "smoothing") for arm in arms}
cleared, effects = claims.without_floor(summary[summary["included"]]), {}
for kind in measure.KINDS:
    for words, pair in contrasts.items():
        rows = cleared[cleared["kind"] == kind]
        effects[kind, words] = designs.against("arm", *pair)(rows, measure.PRIMARY)

# %% tags=["slide"]
figure, ax = plots.plt.subplots(figsize=(9, 3.5))
for (kind, words), (effect, _) in effects.items():
    place = list(contrasts).index(words) + (0.12 if kind == "within" else -0.12)
    middle, low, high = np.exp([effect.estimate, effect.low, effect.high])
    ax.plot([low, high], [place, place], color=plots.KIND_COLOURS[kind], lw=2)
    label = kind * (words == smoothed)
    ax.plot(middle, place, "o", color=plots.KIND_COLOURS[kind], label=label or None)
ax.axvline(1, color="k", lw=1)
ax.set_yticks(range(len(contrasts)), list(contrasts))
ax.set(xscale="log", title=f"Effects, {len(seeds)} seeds")
ax.set_xlabel(f"ratio of power above {cutoff:g} cycles/nu, 95 % interval\n{counted}")
ax.invert_yaxis()
legend = ax.legend(title="path", **plots.SMALL, **plots.BESIDE)

# %% [markdown]
# ## Claims
#
# At the greatest norm, each pattern against smoothing alone. Described: smoothing against none, the
# two patterns against each other, and accuracy.

# %%
# NBVAL_CHECK_OUTPUT
claimed = []
for arm in arms:
    design = designs.against("arm", arm, "smoothing")
    claimed += claims.over_paths("F9", summary, design, prefix=f"{arm}, ")
for kind in measure.KINDS:
    statement = f"{kind} classes, power, {smoothed}"
    claimed.append(claims.described("F9", statement, *effects[kind, smoothed]))
    rows = cleared[cleared["kind"] == kind]
    found = designs.against("arm", *arms)(rows, measure.PRIMARY)
    claimed.append(claims.described("F9", f"{kind} classes, power, f against 1/f", *found))
for arm in arms:
    found = designs.against("arm", arm, "smoothing")(summary, "test_accuracy")
    claimed.append(claims.described("F9", f"test accuracy, {arm} against smoothing", *found))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed), end="\n\n")
for kind in measure.KINDS:
    whole = effects[kind, smoothed][0].estimate
    print(f"{kind} classes: smoothing alone moves the power x {np.exp(whole):.3g}; in logarithms,")
    for words in list(contrasts)[1:]:
        print(f"  {words} is {effects[kind, words][0].estimate / whole:+.1%} of that.")

# %% [markdown]
# ## What to make of it
#
# A pattern that is the same in every training image and in no test image does not make the network
# robust to anything: a network that adds $-\epsilon\,\delta$ to what it sees would learn the same
# function, moved by $\epsilon$ nu. What the claims can see is what is left beyond that, at clean
# test images, and beyond smooth labels: the last lines above say how large it is beside what smooth
# labels alone do.
#
# The names are about the images. Whether a pattern that is fine or coarse in *image* frequency
# moves the *function's* frequency, and which way, is what was asked; these are two different
# frequencies ([notebook 09](09_image_frequency.ipynb)).

# %% [markdown]
# ## Exercises
#
# Exercise 10.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 10.2 (implement)
#
# Write the augmentation: a pattern of length $\epsilon$ added to an image, its label smoothed by
# one half.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Divide the pattern by its own norm first: $\epsilon$ is a length in nu.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def perturbed(image, label, pattern, epsilon):
    """The image and its label after it; image, pattern: of one shape; label: (classes,)."""
    # nothing that was given may change: the caller will use the image again
    ### BEGIN SOLUTION
    moved = image + epsilon * pattern / np.linalg.norm(pattern)
    return moved, 0.5 * label + 0.5 / len(label)
    ### END SOLUTION


# %% tags=["check"]
plain, one_hot = np.zeros((1, 8, 8)), np.eye(10)[3]
some_pattern = np.random.default_rng(0).normal(size=plain.shape)
for _ in range(2):  # the second time from the same image: nothing accumulates
    moved_image, smoothed_label = perturbed(plain, one_hot, some_pattern, 4.0)
    length = np.linalg.norm(moved_image - np.zeros((1, 8, 8)))
    assert np.isclose(length, 4), f"4 nu from the original, not {length}"
assert np.isclose(smoothed_label.sum(), 1), "a label sums to 1"
assert np.allclose(smoothed_label[[3, 0]], [0.55, 0.05]), "one half and a share: .55 and .05"
assert one_hot.max() == 1, "the label that was given is not to change"

# %% [markdown] tags=["exercise"]
# ### Exercise 10.3 (vary)
#
# Vary the test images: how accurate are the networks on images that carry the pattern they were
# trained with, and on clean ones?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `images + norm * patterns[arm]`, through the network of the first seed.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for arm in arms:
    config = by_arm[arm, seeds[0]]
    run = trained[arm, seeds[0]]
    network = config.build().eval()
    network.load_state_dict(run.weights(num_epochs))
    for words, seen in {"clean": images, "with the pattern": images + norm * patterns[arm]}.items():
        with torch.inference_mode():
            correct = network(seen).argmax(1) == shown.y_test
        print(f"trained with {arm}: {correct.float().mean():.1%} of test images {words}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Every training image carried the pattern, so clean test images are the ones that are out of
# distribution: a network could lose accuracy on what a person would call the normal case. If both
# are alike, the network has become indifferent along this one direction, or the pattern is short
# against the images. The paths of this notebook join *clean* images, so they measure the network a
# little off where it was trained.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 10.4 (think)
#
# Smooth labels lower the confidence of a network. Is the effect of smoothing the same on
# standardised logits as on the softmax? What would you conclude if it were?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `designs.against("arm", "smoothing", "none")` on both columns.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for kind in measure.KINDS:
    rows = summary[summary["kind"] == kind]
    for column in ("power_softmax_1", "power_logits_1"):
        print(kind, column, designs.against("arm", "smoothing", "none")(rows, column)[1])

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Standardised logits take a common factor away, so if smoothing only lowered confidence, their
# power would stay as it was. If it moves there as well, smoothing changes the shape of the
# function: with a target that never reaches 1 the logits stop growing, plateaus form at the height
# that is asked for, and what lies between them is learned otherwise. Then "only confidence" is
# wrong, and so is "only the pattern matters".
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 10.5 (extend)
#
# The released code adds the pattern to the training set itself, epoch after epoch. Say how you
# would add that as an arm, beside the others, and what it would show.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# How long is the perturbation after $k$ epochs? What does the largest pixel do?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# An augmentation step of its own, or for a first look a run an epoch on a dataset whose images
# already carry $k \epsilon$ of the pattern; then the same contrast against smoothing, and a figure
# over $k$. The sum grows linearly, so after a few epochs the images are mostly pattern: accuracy on
# clean images falls, and the effect on frequency would be one of a shifted training set, told as
# one of a spectrum. An arm that reproduces a mistake is worth having when a published effect may
# hang on it.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
shown_runs = [trained[arm, seeds[0]] for arm in arms]
provenance.record(claimed, trained.values(), globals(), opened=shown_runs)
