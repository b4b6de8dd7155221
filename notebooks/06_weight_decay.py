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
# # Does weight decay shift the spectrum, and hold back high frequencies more than low ones?
#
# > **You will be able to** ask a regulariser two questions, where the spectrum goes and what is
# > held back; test a difference of differences.
# >
# > **You need** notebooks [02](02_noise_fitting.ipynb) and [03](03_training_time.ipynb).
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [dose](glossary.md#dose), [gain](glossary.md#gain), [control](glossary.md#control),
# > [verdict](glossary.md#verdict); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F5.** Weight decay adds $\tfrac{\lambda}{2} \lVert w \rVert^2$ to the loss, over all
# variables. The paper reports that regularisation shifts the spectrum of the learned function, and
# delays the learning of high frequencies.
#
# Two experiments ask for the two halves. On clean labels, what is measured is $E(f_c)$, the power
# of the softmax out of the band below $f_c$ along straight paths between test images
# ([notebook 01](01_measuring_frequency.ipynb) builds it): one slope of $\ln E$ on $\ln \lambda$ a
# seed. "Shifts" names no direction, so either one counts.
#
# On noisy labels, two waves are learned with the least and with the greatest decay, each beside a
# control of its own ([notebook 02](02_noise_fitting.ipynb)). With $g$ the mean gain over training,
# the question is whether the fast wave loses more than the slow one:
#
# $$\bigl(g_{\text{fast}} - g_{\text{fast}}^{\text{decay}}\bigr)
#   - \bigl(g_{\text{slow}} - g_{\text{slow}}^{\text{decay}}\bigr) > 0 .$$

# %%
import itertools

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from lib import measure, plots, runs, stats
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import conditions
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
weight_decays: list[float] = [0.0, 1.0e-4, 5.0e-4, 2.0e-3, 5.0e-3]  # per step: lambda, 0 for none
slow_frequency: float = 0.45  # cycles/nu: of the slow label wave, of one period or more
fast_frequency: float = 0.64  # cycles/nu: of the fast one
amplitude: float = 0.4  # share of the label: batch mean of the smoothing
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
common = TrainingConfig.fields_in(parameters, but=("amplitude",))
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
least, greatest = min(weight_decays), max(weight_decays)
frequencies = {"slow": slow_frequency, "fast": fast_frequency}

# %% [markdown]
# ## The experiment
#
# Every decay on clean labels; and the two ends of the grid on noisy ones, with an evenly smoothed
# control for each decay and seed.

# %%
by_decay = conditions.by_weight_decay(common, weight_decays, seeds)
radial = common | {"wave": "radial", "amplitude": amplitude}
waves = [
    TrainingConfig(**radial, weight_decay=decay, frequency=frequency, seed=seed)
    for frequency, decay, seed in itertools.product(frequencies.values(), (least, greatest), seeds)
]
plan = pd.DataFrame({"weight decay": sorted(weight_decays)}).assign(seeds=len(seeds))
plan["labels"] = "clean"
ends = plan["weight decay"].isin([least, greatest])
plan.loc[ends, "labels"] += ", slow wave, fast wave, control"
plan

# %%
trained = runs.sweep([*by_decay.values(), *waves, *{one.control() for one in waves}], device)

# %% [markdown]
# Paths are compared only where every network of a seed classifies both ends correctly.

# %%
summary = measure.sweep(by_decay.values(), protocol, device)
print(measure.matched_counts(summary))
print(measure.left_out(summary, "weight_decay"))

# %%
columns = ["test_accuracy", "num_paths", "changes", "power_softmax_1", "power_per_change"]
table = summary.groupby(["kind", "weight_decay"])[columns].mean()
table.map("{:.3g}".format)

# %% [markdown]
# ## What the runs show
#
# Along paths, with clean labels. A line is a seed, since each seed compares its networks along
# paths of its own. A decay of 0 has no logarithm: it is drawn apart, left of the dotted line, and
# takes no part in the slope.


# %%
above = [decay for decay in sorted(set(weight_decays)) if decay > 0]
place = {decay: decay or min(above) / 5 for decay in sorted(set(weight_decays))}
shown = summary[summary["included"]].assign(place=summary["weight_decay"].map(place))


def against_decay(ax, column: str, title: str, ylabel: str) -> None:
    """A line for each seed and kind of path over the decays above 0, points for all."""
    columns = {"x": "place", "y": column, "hue": "kind", "ax": ax}
    options = {"palette": plots.KIND_COLOURS, "units": "seed", "estimator": None, "lw": 1}
    sns.lineplot(shown[shown["weight_decay"] > 0], **columns, **options, legend=False)
    sns.scatterplot(shown, **columns, palette=plots.KIND_COLOURS, s=20)
    ax.axvline(min(above) / 5**0.5, color="k", ls=":", lw=1)
    ax.set_xscale("log")
    ax.set_xticks(list(place.values()), [f"{decay:g}" for decay in place])
    ax.minorticks_off()
    xlabel = f"weight decay\n(a line each of {len(seeds)} seeds)"
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.legend(title="path", **plots.BESIDE, **plots.SMALL)


# %% tags=["slide"]
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
against_decay(axes[0], "hff", "Published: HFF, all paths", "HFF of the softmax")
label = f"power above {cutoff:g} cycles/nu"
against_decay(axes[1], measure.PRIMARY, "Power out of band, matched paths", label)
for kind, rows in shown.groupby("kind"):
    floor = rows.groupby("place")["floor_softmax_1"].mean()
    axes[1].plot(floor.index, floor, "--", color=plots.KIND_COLOURS[kind], lw=1)
axes[1].set_yscale("log")
axes[0].get_legend().remove()
figure.text(0.01, -0.02, f"{measure.matched_counts(summary)} Dashed: floor.", fontsize="small")
figure.tight_layout()

# %% [markdown]
# The spectra: the power above each $f$, of the softmax and of standardised logits, as a ratio to
# that with the least decay, each seed to its own (values at the floor are left out).

# %%
spectra = measure.spectra(claims.without_floor(summary[summary["included"]]), cutoff)
own = ["seed", "kind", "output", "frequency"]
reference = spectra[spectra["weight_decay"] == least].set_index(own)["power"].rename("of_least")
ratios = spectra.join(reference, on=own).assign(ratio=lambda all: all["power"] / all["of_least"])
panels = {"row": "kind", "row_order": measure.KINDS, "col": "output", "height": 3, "aspect": 1.4}
palette = sns.color_palette("viridis", ratios["weight_decay"].nunique())
lines = {"kind": "line", "errorbar": ("pi", 100), "palette": palette, "legend": "full"}
grid = sns.relplot(ratios, x="frequency", y="ratio", hue="weight_decay", **panels, **lines)
ticks = sorted(ratios["frequency"].unique())
grid.set(xscale="log", ylim=(0, None), xticks=ticks, xticklabels=[f"{f:.2g}" for f in ticks])
grid.set_titles("{row_name} classes, {col_name}")
grid.set_axis_labels("f (cycles/nu)", "ratio of power above f")
for ax in grid.axes.flat:
    ax.minorticks_off()
grid.legend.set_title("weight decay")
note = f"{measure.matched_counts(summary)} Over {len(seeds)} seeds, against a decay of {least:g}."
text = grid.figure.text(0.01, -0.02, note, fontsize="small", va="top")

# %% [markdown]
# The two waves. The shipped frequencies were chosen by an outcome: on seeds outside the study, such
# that both waves are fitted in part, and can gain and lose: the fast one, though, no more than it
# has; where the slow one loses more than that, no decay can bear the claim out. It keeps them close
# to each other, too, and the less their periods (printed below) differ, the less power the test
# has. Grey is what the gain is without any wave: one seed's control beyond another's.

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 6.1 (predict)
#
# The next figures show the gain of a slow and a fast wave with the least and the greatest weight
# decay. Before you run them: which wave has the higher gain without decay, which loses more to it,
# and which sign has the difference that the claim is about?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Weight decay makes weights small. Which of the waves needs larger ones? And what has a wave to
# lose that is hardly fitted?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# The slow wave starts higher, as notebook 02 shows. A fast wave needs steep changes, so larger
# weights, and should lose more to decay: the claimed difference is positive. Against it stands a
# floor: a wave of little gain has little to lose, so the fast one may lose less in absolute numbers
# and more as a share. And if the range of decays is too mild to move either, the difference is near
# 0 and no sign is decided. A prediction has to say in which unit.
#
# </details>

# %%
fits, nulls = measure.fitting(waves), measure.null(waves)
of_waves = ["frequency", "weight_decay", "seed"]
fitted = measure.wave_summary(fits, of_waves)
ylabel = "gain (0: no wave, 1: fitted)"
panels = [
    (fits[fits["frequency"] == frequency], "gain", f"{name} wave, {frequency:g} cycles/nu", ylabel)
    for name, frequency in frequencies.items()
]
options = {"legend": "weight decay", "xlabel": "epoch", "marker": ""}
axes = plots.row(panels, "epoch", "weight_decay", title="Gain over training", **options)
for ax, frequency in zip(axes, frequencies.values(), strict=True):
    band = measure.null_band(nulls[nulls["frequency"] == frequency], ["epoch"])
    plots.null_band(ax, band, "epoch")
    ax.set_ylim(top=1.1 * fits["gain"].max())
periods = fitted.groupby("frequency")["periods"].mean()
words = [f"{name} wave {periods[frequency]:.2f}" for name, frequency in frequencies.items()]
print(f"Periods across the images: {', '.join(words)}.")
columns = ["periods", "mean_gain", "final_gain", "min_noise_fitting", "test_accuracy"]
fitted.groupby(of_waves[:2])[columns].mean().round(3)

# %% [markdown]
# The claim is about differences within a seed: each line below is one. On the left a wave's mean
# gain with the least and the greatest decay; on the right what it loses from one to the other.

# %%
cells = fitted.pivot(index="seed", columns=of_waves[:2], values="mean_gain")
lost = pd.DataFrame({f: cells[f, least] - cells[f, greatest] for f in frequencies.values()})

# %% tags=["slide"]
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
colours = sns.color_palette("viridis", 3)
for (name, frequency), colour in zip(frequencies.items(), colours, strict=False):
    axes[0].plot(range(2), cells[frequency].T, "o-", color=colour, lw=1, ms=4)
    place_of_name = (1.1, cells[frequency, greatest].mean())
    axes[0].annotate(f"{name}: {frequency:g} cycles/nu", place_of_name, color=colour, va="center")
plots.null_band(axes[0], measure.null_band(nulls, of_waves[:2]))
axes[0].set_xticks(range(2), [f"{least:g}", f"{greatest:g}"])
title = f"Mean gain, a line a seed (n = {len(seeds)}; grey: no wave)"
axes[0].set(title=title, xlabel="weight decay", ylabel=ylabel, xlim=(-0.3, 2))
axes[1].plot(range(2), lost.T, "o-", color="0.4", lw=1, ms=4)
axes[1].axhline(0, color="k", ls="--", lw=1)
axes[1].set_xticks(range(2), [f"{name}: {f:g}" for name, f in frequencies.items()])
labels = {"xlabel": "wave (cycles/nu)", "ylabel": "mean gain lost to decay"}
axes[1].set(title="What each wave loses from one to the other", xlim=(-0.3, 1.3), **labels)
figure.tight_layout()

# %% [markdown]
# ## Claims
#
# Each seed gives one slope over the decays above 0, and one difference of differences; intervals
# are Student's over seeds. Described, without a verdict: the slope without the greatest decay, no
# decay at all against the least above 0, and what each wave loses for itself, in gain and as a
# share.

# %%
kept = {f: cells[f, greatest] / cells[f, least] for f in frequencies.values()}
kept_more = stats.t_test(kept[slow_frequency] - kept[fast_frequency])
in_words = designs.said(kept_more, "more kept than the fast wave", ratio=False)
of_shares = claims.described("F5", "slow wave, share of its gain kept", kept_more, in_words)

# %%
by_dose = designs.over_doses("weight_decay", "the weight decay")
shapes = []
no_decay = designs.against("weight_decay", 0.0, min(above))
for kind in measure.KINDS:
    rows = claims.without_floor(summary[(summary["kind"] == kind) & summary["included"]])
    effect = by_dose(rows[rows["weight_decay"] < greatest], measure.PRIMARY)
    statement = f"{kind} classes, without the greatest decay"
    shapes.append(claims.described("F5", statement, *effect))
    if least == 0:
        effect = no_decay(rows, measure.PRIMARY)
        shapes.append(claims.described("F5", f"{kind} classes, without decay", *effect))

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.over_paths("F5", summary, by_dose)
pair = (slow_frequency, fast_frequency)
design = designs.interaction(("frequency", "weight_decay"), *pair, without=least, with_=greatest)
enough = summary.loc[summary["included"], "weight_decay"]
claimed.append(claims.over_waves("F5", fitted[fitted["weight_decay"].isin(enough)], design))
claimed += shapes
design = designs.against("weight_decay", greatest, least)
for name, frequency in frequencies.items():
    effect = design(fitted[fitted["frequency"] == frequency], "mean_gain")
    claimed.append(claims.described("F5", f"mean gain of the {name} wave", *effect))
claimed.append(of_shares)
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed))

# %% [markdown]
# ## What to make of it
#
# The two experiments ask different things. Paths look at the function that was learned without
# noise; the waves ask what the network could have learned. Weight decay may smooth the one and not
# hold back the other. In normalised layers decay acts by way of the effective step, which the
# learning rate sets, too; in the last layer, and in the norms' scales, it shrinks the logits.
#
# A slope over doses hides its shape: the fall between classes steepens, on both datasets. The rows
# without the greatest decay say what is left of a slope without the last step. Where accuracy falls
# at that step, too (6.4), decay may only break the task there.
#
# The two waves do not start from the same gain. A wave that is hardly fitted without decay has
# little to lose, so look at the left panel before reading the right one. The claim is about
# differences, as it was declared; if decay took the same *share* of both gains, the slow wave would
# lose more, and the claim be contradicted though neither wave suffers more than the other. So the
# shares stand beside it, described.

# %% [markdown]
# ## Exercises
#
# Exercise 6.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 6.2 (implement)
#
# Write the effect that the claim is about, the difference of differences $(g_\text{fast} -
# g_\text{fast}^\text{decay}) - (g_\text{slow} - g_\text{slow}^\text{decay})$, one a seed.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# One subtraction along the axis of decay, then one along that of the waves.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def lost_more(gains):
    """What the fast wave loses more than the slow one, (seeds,). gains: (seeds, 2, 2): slow and
    fast wave, without and with decay."""
    # first what each wave loses, then how much more of it the fast one does
    ### BEGIN SOLUTION
    each_loses = gains[:, :, 0] - gains[:, :, 1]
    return each_loses[:, 1] - each_loses[:, 0]
    ### END SOLUTION


# %% tags=["check"]
of_two_seeds = np.array([[[0.8, 0.7], [0.5, 0.1]], [[0.8, 0.4], [0.5, 0.1]]])
found = lost_more(of_two_seeds)
assert np.allclose(found, [0.3, 0.0]), f"(.5 - .1) - (.8 - .7) = .3, then 0: not {found}"
assert np.allclose(lost_more(of_two_seeds + 0.1), found), "a shift of all gains changes nothing"

# %% [markdown] tags=["exercise"]
# ### Exercise 6.3 (vary)
#
# The waves differ in what they have to lose. Which of them loses the larger *share* of its gain,
# and is the answer that of the claim?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `lost` over the gain with the least decay, of the same seed.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
share = lost / cells.xs(least, axis=1, level="weight_decay")
print(share.mean().map("{:.0%}".format).to_string())

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A difference in absolute gain and one in shares can have different signs, because the two waves
# start at different gains: an interaction depends on the scale. Neither scale is the right one by
# itself. The claim declares its scale beforehand; the other one is worth a line beside it, and if
# they disagree, "holds back fast waves more" is true in one sense only.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 6.4 (think)
#
# How does test accuracy go with weight decay, with clean labels and with the waves? Can decay help
# against noisy labels and still hold back the wave?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Group `summary` and `fitted` by `weight_decay`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
clean_labels = summary.groupby("weight_decay")["test_accuracy"].mean()
wave_labels = fitted.groupby("weight_decay")["test_accuracy"].mean()
print(pd.DataFrame({"clean labels": clean_labels, "waves": wave_labels}).round(3))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Accuracy asks whether the largest output is right, and the waves leave the true class the largest
# entry almost everywhere, so accuracy can stay the same while the wave is learned or not. Decay
# that only shrinks outputs changes no argmax. A loss of accuracy at the greatest decay says that
# decay costs the task too, and then "it holds back the wave" is part of "it holds back everything".
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 6.5 (think)
#
# Decay shrinks weights, and a softmax of smaller logits is less confident. Of the variants of the
# two path claims, which are about standardised logits, and do they say the same as the softmax?
# What would you conclude from each of the two possible outcomes?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `claim.variants` holds an effect by name; the names with "logits" are those.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for claim in claimed[:2]:
    print(claim.statement)
    for name, effect in claim.variants.items():
        if "logits" in name:
            print(f"   {name:18}{effect.estimate:+.2f} (ln, end to end), p = {effect.p:.2g}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# If the softmax alone falls, decay makes the network less sure, and the shape of its logits along a
# path is as before: a change of temperature and no change of frequency. Standardised logits are
# blind to a common factor, which is why they can tell. If both fall, more than a common factor has
# changed: the function is smoother, or less well fitted. Look at class changes and accuracy before
# choosing: on CIFAR-10 the greatest decay has more changes, not fewer, and less accuracy.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
