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
# # Over all interventions: do better networks have higher frequency, and lower within classes?
#
# > **You will be able to** pool interventions without pooling their confounds; say over what a
# > correlation is, and what may be permuted.
# >
# > **You need** one of notebooks [04](04_architecture.ipynb) to [08](08_distillation.ipynb), better
# > three.
# >
# > **Takes** about 2 minutes with digits on two cores, less where its networks are in the store.
# > **Level**: advanced.
# >
# > **Words**: [permutation test](glossary.md#permutation-test), [rank
# > correlation](glossary.md#rank-correlation), [primary claim](glossary.md#primary-claim), [false
# > discovery rate](glossary.md#false-discovery-rate), [verdict](glossary.md#verdict); all
# > of them, and the [columns of tables](glossary.md#columns-of-tables), in the
# > [glossary](glossary.md).

# %% [markdown]
# **Finding F11.** Over all interventions together, the paper concludes, networks that generalise
# better have higher function frequency overall (between classes), and lower frequency near the
# examples of a class (within classes).
#
# This notebook takes the networks that notebooks 04 to 08 and 10 train on clean images. Each
# intervention is one comparison, along paths that all of its networks classify correctly. What is
# asked is whether, *within* interventions, conditions of higher test accuracy have higher or lower
# $E(f_c)$, the power of the softmax out of band ([notebook 01](01_measuring_frequency.ipynb) builds
# it). With $k_g$ conditions in intervention $g$, and $\rho_g$ Spearman's correlation of accuracy
# with power over their means,
#
# $$\rho = \frac{\sum_g (k_g - 1)\, \rho_g}{\sum_g (k_g - 1)},$$
#
# tested by permuting conditions within interventions. So neither do networks of one configuration
# count as independent, nor do interventions that differ in both accuracy and frequency for reasons
# of their own.

# %%
import dataclasses

import numpy as np
import pandas as pd

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
seeds: list[int] = [0, 1]  # seed: few are enough, since the claims are over conditions
families: list[str] = [
    "mlp-2-64",
    "mlp-3-16",
    "mlp-3-128",
    "mlp-4-64",
    "mlp-5-64",
    "cnn-4",
    "cnn-8",
    "local-4",
    "local-8",
    "resnet8-4",
    "vgg11-4",
    "vit-1-16",
    "mixer-1-16",
]  # name: of networks, as in notebook 04
shares: list[float] = [0.03, 0.1, 0.3, 1.0]  # share: of num_train, steps fixed, as in notebook 05
weight_decays: list[float] = [0.0, 1.0e-4, 5.0e-4, 2.0e-3, 5.0e-3]  # per step: as in notebook 06
augmentations: list[str] = [
    "none",
    "crop",
    "flip_crop",
    "cutout",
    "crop+cutout",
    "flip_crop+cutout",
    "randaugment:3",
    "randaugment:9",
    "randaugment:3+crop",
    "randaugment:9+crop",
    "autoaugment",
    "autoaugment+crop",
    "mixup:0.1",
    "mixup:0.4",
    "mixup:1",
]  # name: steps joined by +, as in notebook 07
true_label_weights: list[float] = [0.0, 0.5]  # share: alpha, as in notebook 08
num_generations: int = 2  # generations: of students, as in notebook 08
norms: list[float] = [1.0]  # nu: of frequency perturbations, as in notebook 10
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
# ## The networks
#
# The very runs of the other notebooks; the run store has those that were trained there. (Of the
# perturbations, all conditions but one also smooth labels by one half.) An intervention whose
# networks agree on fewer than 100 paths is measured along two and a half times as many.

# %%
interventions = {
    "families": conditions.by_family(common, families, seeds),
    "training examples": conditions.by_training_examples(common, shares, seeds, "steps"),
    "weight decay": conditions.by_weight_decay(common, weight_decays, seeds),
    "augmentation": conditions.by_augmentation(common, augmentations, seeds),
    "distillation": conditions.by_distillation(
        common | {"augmentation": "none"}, true_label_weights, num_generations, seeds
    ),  # as in notebook 08
    "perturbations f, 1/f": conditions.by_frequency_augmentation(common, norms, seeds),
}
varied = ["model", "num_train", "weight_decay", "augmentation", "true_label_weight", "augmentation"]
varied = dict(zip(interventions, varied, strict=True))
configs = [config for group in interventions.values() for config in group.values()]
trained = runs.sweep(configs, device)

# %%
parts = []
for name, group in interventions.items():
    for pairs in (num_pairs, 5 * num_pairs // 2):
        own = dataclasses.replace(protocol, num_pairs=pairs)
        part = measure.sweep(group.values(), own, device)
        if part.loc[part["included"], "num_paths"].min() >= claims.LEAST_PATHS:
            break
    parts.append(part.assign(intervention=name))
    print(f"{name}. {measure.matched_counts(part)} {measure.left_out(part, varied[name])}")
summary = pd.concat(parts, ignore_index=True)
fewest = summary[summary["included"]].groupby("intervention")["num_paths"].min()
if too_few := [name for name, count in fewest.items() if count < claims.LEAST_PATHS]:
    print(f"Out of the claims, with fewer than {claims.LEAST_PATHS} paths: {', '.join(too_few)}.")
in_claims = summary[~summary["intervention"].isin(too_few)]
compared = claims.without_floor(summary[summary["included"]])

# %%
columns = ["test_accuracy", "hff", measure.PRIMARY, "floor_softmax_1"]
columns += ["changes", "power_per_change", "variation"]
by_condition = ["intervention", "kind", "condition"]
means = compared.groupby(by_condition, sort=False)[columns].mean(skipna=False)
means["error"] = 1 - means["test_accuracy"]
accuracy = means["test_accuracy"].groupby("intervention", sort=False)
matched = compared.groupby("intervention")["num_paths"].agg(["min", "max"])
overview = accuracy.agg(["min", "max"]).add_suffix(" accuracy").round(4)
overview.join(matched.add_suffix(" matched paths")).assign(conditions=accuracy.size() // 2)

# %% [markdown]
# ## What the networks show
#
# Compare within a colour only: each intervention has paths of its own, and the network that several
# share, the baseline, stands in each of them at another height.

# %% tags=["slide"]
table = means.reset_index()
table["error"] = table["error"].clip(lower=0.5 / num_test)  # none wrong has no logarithm
figure, axes = plots.plt.subplots(1, 2, figsize=(13, 5))
for ax, kind in zip(axes, measure.KINDS, strict=True):
    marks = {"hue": "intervention", "style": "intervention", "s": 60, "legend": ax is axes[1]}
    rows = table[table["kind"] == kind]
    plots.sns.scatterplot(rows, x="error", y=measure.PRIMARY, ax=ax, **marks)
    ax.plot(rows["error"], rows["floor_softmax_1"], "_", color="0.6")
    ax.set(xscale="log", yscale="log", title=f"{kind} classes")
    ax.set(xlabel="test error (better to the right)", ylabel=f"power above {cutoff:g} cycles/nu")
    ax.invert_xaxis()
plots.sns.move_legend(axes[1], **plots.BESIDE, **plots.SMALL)
number = f"One point a condition, mean over {len(seeds)} seeds (grey: its floor)"
figure.suptitle(f"{number}. {measure.matched_counts(compared)}", fontsize="medium")
figure.tight_layout()

# %% [markdown]
# The correlation with accuracy within each intervention, and over all of them with its interval:

# %%
labels = {"hff": "published: HFF, all paths", measure.PRIMARY: "out of band, matched paths"}
within_each, pooled = {}, {}
for kind in measure.KINDS:
    of_kind = compared[compared["kind"] == kind]
    for column in labels:
        judged = of_kind[of_kind["intervention"].isin(in_claims["intervention"])]
        pooled[kind, column] = designs.with_accuracy("intervention")(judged, column)[0]
        for name, rows in of_kind.groupby("intervention", sort=False):
            within_each[kind, column, name] = designs.with_accuracy()(rows, column)[0]
ticks = [f"{name} ({within_each['between', 'hff', name].n})" for name in interventions]
ticks.append(f"mean, shared ones once ({pooled['between', 'hff'].n})")

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 13.1 (predict)
#
# The next cell draws the rank correlation with accuracy within each intervention, and over all.
# Before you run it: in which interventions do you expect the published measure and the power out of
# band on different sides of 0? Which intervention will have the widest say in the mean over all?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Which interventions move accuracy, which move confidence? And the weights are the numbers of
# conditions less one.
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Within classes HFF should go down with accuracy where the share of wrong ends moves it most, so
# where accuracy has a range. Between classes HFF has little room, unless labels are smoothed. Power
# follows confidence as well: where an intervention makes networks surer *and* better, power between
# classes rises with accuracy; where it makes them less sure (mixup, smoothing), power between
# classes falls, be they better (as with digits) or worse; and a small training set that is fitted
# to the last can make them surer and worse. The interventions with the most conditions weigh most.
# One with four conditions can have a correlation of 1 or -1 by chance, once in twelve.
#
# Open and filled points differ in the measure *and* in the paths. HFF along matched paths goes with
# accuracy less than along all, between classes by less than can be told from 0 on both profiles:
# wrong ends are what is missing.
#
# </details>

# %% tags=["slide"]
figure, axes = plots.plt.subplots(1, 2, figsize=(13, 4.5))
for ax, kind in zip(axes, measure.KINDS, strict=True):
    colour, names = plots.KIND_COLOURS[kind], list(interventions)
    for shift, (column, label) in zip((-0.12, 0.12), labels.items(), strict=True):
        effects = [within_each[kind, column, name] for name in names] + [pooled[kind, column]]
        places = np.arange(len(effects)) + shift
        face = "white" if column == "hff" else colour
        middle = [one.estimate for one in effects]
        ax.plot(middle, places, "o", label=label, color=colour, mfc=face)
        ax.plot([effects[-1].low, effects[-1].high], places[[-1, -1]], color=colour, lw=2)
    ax.set_yticks(range(len(ticks)), ticks)
    ax.axvline(0, color="k", lw=1)
    ax.set(title=f"{kind} classes", xlim=(-1.05, 1.05), xlabel="rank correlation with accuracy")
    ax.invert_yaxis()
axes[1].legend(**plots.SMALL, **plots.BESIDE)
title = "Within each (number of conditions), and over all with the 95 % interval"
figure.suptitle(f"{title}. {measure.matched_counts(compared)}", fontsize="medium")
figure.tight_layout()

# %% [markdown]
# ### Where published and out of band differ, and what each follows
#
# For each intervention: what happens from its least to its most accurate condition (a line through
# all conditions, by rank of accuracy; where it and the rank correlation above differ in sign, there
# is no clear way). Power is class changes a path times power per change: more transitions, or
# sharper ones. (Within classes much of the power lies on paths that change no class, on digits
# nearly all; a quotient there is no sharpness.) Where published and out of band go different ways:
# for HFF, which of wrong ends (1 - accuracy), class changes, power per change and the distance that
# the softmax covers along a path goes most with it over the conditions; for power, which of its two
# factors moves more.
#
# An intervention with 4 or 5 conditions has 4 or 5 points: its rank correlations describe these and
# are no tests. A published measure that moves by less than 1 % goes no way. And rows are trends
# with accuracy, not the effects that the findings themselves are about, such as that of weight
# decay.

# %%
findings = dict(zip(interventions, ("F3", "F4", "F5", "F6", "F7", "F9"), strict=True))
followed = {"wrong ends": "error", "class changes": "changes", "sharpness": "power_per_change"}
followed |= {"distance of the softmax": "variation"}


def from_least_to_most(rows: pd.DataFrame, column: str, log: bool = True) -> float:
    """The rise of a measure (log: of its logarithm) along the line through conditions by rank."""
    place = rows["test_accuracy"].rank().to_numpy()
    values = np.log(rows[column].where(rows[column] > 0)) if log else rows[column]
    if np.ptp(place) == 0 or not np.isfinite(values).all():
        return np.nan
    return np.ptp(place) * np.polyfit(place, values, 1)[0]


# %%
def followed_by_hff(rows: pd.DataFrame) -> str:
    """Which of `followed` has the greatest rank correlation with HFF, and that, if one clearly."""
    complete = {words: one for words, one in followed.items() if rows[one].notna().all()}
    rho = {words: stats.rank_correlation(rows["hff"], rows[one]) for words, one in complete.items()}
    words = max(rho, key=lambda one: abs(rho[one]))
    if abs(rho[words]) < 0.5:
        return "HFF goes clearly with none of these"
    return f"HFF goes most with {words} ({rho[words]:+.2f})"


def factor_of_power(rows: pd.DataFrame) -> str:
    """Which factor of power moves more, class changes or power per change, and by how much."""
    rise = {
        name: from_least_to_most(rows, followed[name]) for name in ("class changes", "sharpness")
    }
    if np.isnan(list(rise.values())).any():
        return "class changes are too few to divide by"
    words = max(rise, key=lambda one: abs(rise[one]))
    return f"power moves by {words} (x {np.exp(rise[words]):.3g})"


# %%
table, rows_of = [], means.groupby(["intervention", "kind"], sort=False)
for (name, kind), rows in rows_of:
    rise = {c: from_least_to_most(rows, c) for c in ("hff", measure.PRIMARY, "power_per_change")}
    ratios = {column: f"x {np.exp(value):.3g}" for column, value in rise.items()}
    sign = np.sign(rise["hff"] * rise[measure.PRIMARY])
    way = {1: "the same way", -1: "opposite ways"}.get(sign, "not comparable")
    signs = {column: np.sign(within_each[kind, column, name].estimate) for column in labels}
    if abs(rise["hff"]) < 0.01 or any(signs[name] * rise[name] <= 0 for name in labels):
        sign, way = 0, "no clear way"
    why = f"{followed_by_hff(rows)}; {factor_of_power(rows)}"
    row = {"finding": findings[name], "intervention": name, "kind": kind}
    row |= {"published": ratios["hff"], "out of band": ratios[measure.PRIMARY]}
    row["changes"] = f"{from_least_to_most(rows, 'changes', log=False):+.2g} a path"
    row |= {"power per change": ratios["power_per_change"], "they go": way}
    table.append(row | {"what each goes with": why if sign == -1 else ""})
differences = pd.DataFrame(table).replace("x nan", "-").set_index("finding")
differences

# %% [markdown]
# ### Is it accuracy alone?
#
# HFF within classes counts wrong ends, which ties it to accuracy; confidence moves it, too. Does
# it say anything of the power within classes that accuracy does not say? Ranks within
# interventions, with what accuracy explains of them taken away; the claims below tell what is left.
# Below 0 the two disagree: HFF is a share, and may rise where confidence and power fall.


# %%
def beyond_accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Ranks of HFF and power, less their least-squares lines on those of accuracy."""
    place = rows["test_accuracy"].rank() - (len(rows) + 1) / 2
    ranks = rows[["hff", measure.PRIMARY]].rank()
    slopes = (place @ (ranks - ranks.mean())) / (place @ place or 1.0)
    return ranks - ranks.mean() - pd.DataFrame(np.outer(place, slopes), rows.index, ranks.columns)


alike = means.xs("within", level="kind").sort_index().reset_index()
alike = alike[~alike["condition"].duplicated()].dropna(subset=["hff", measure.PRIMARY])
groups = alike["intervention"]
left = pd.concat([beyond_accuracy(rows) for _, rows in alike.groupby("intervention")]).sort_index()
partial = stats.rank_test(left["hff"], left[measure.PRIMARY], groups)
plain = stats.rank_test(alike["hff"], alike[measure.PRIMARY], groups)

# %% [markdown]
# ## Claims
#
# Within interventions that have 100 matched paths; a condition that several share, as the baseline,
# counts in one of them, the first in alphabetical order (so that the baseline counts with
# augmentation: training sets stand without the whole one, decay without the usual one,
# perturbations for smoothed labels alone, distillation for students alone; the figures and the
# table above have each with its baseline, and their points need not average to the claim's).
# Described: each intervention by itself, what was just asked, and the input Jacobian at test
# images.

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.over_paths("F11", in_claims, designs.with_accuracy("intervention"))
for (kind, column, name), effect in within_each.items():
    if column == measure.PRIMARY:
        text = f"rho {effect.estimate:.2f} over {effect.n} conditions"
        statement = f"{kind} classes, power with accuracy, {name}"
        claimed.append(claims.described("F11", statement, effect, text))
for words, effect in {"": plain, ", at equal accuracy": partial}.items():
    text = f"rho {effect.estimate:.2f} [{effect.low:.2f}, {effect.high:.2f}], n = {effect.n}"
    statement = f"within classes, HFF goes with power{words}"
    claimed.append(claims.described("F11", statement, effect, text))
networks = summary[summary["kind"] == "within"]
found = designs.with_accuracy("intervention")(networks, "jacobian_norm")
claimed.append(claims.described("F11", "norm of the input Jacobian with accuracy", *found))
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
print(verdicts.answer(claimed), end="\n\n")
same = differences["they go"] == "the same way"
print(f"Published and out of band go the same way in {same.sum()} of {len(same)} rows above.")

# %% [markdown]
# ## What to make of it
#
# An inconclusive mean has two causes: interventions that show little, or interventions that go
# opposite ways, as on CIFAR-10. Then the mean is about their mix, more of them need not decide it,
# and the points of the second figure are the result (exercise 13.3: what is left without one?).
# Training sets have their steps fixed here; with epochs fixed (05) they may go another way, and the
# mean with them. Where mean and median path differ in sign, typical paths grow flat and a few
# steep: neither is the answer alone.

# %% [markdown]
# The row of an intervention in the table is the place to look: an HFF that goes with wrong ends or
# class changes is about transitions, and one that goes with their sharpness, or the distance of the
# softmax, is about confidence. Power that moves by sharpness has no more transitions. The
# standardised logits among the variants take confidence away: where the softmax's power alone is
# decided, confidence is not excluded.
#
# Interventions are not drawn at random: they are those that these notebooks chose, and those with
# more conditions weigh more. Accuracy is not what was varied: where an intervention moves accuracy
# little, the order of its conditions is mostly chance, and its correlation too. The verdict is
# about an association within interventions; the notebooks before this one have the experiments.

# %% [markdown]
# ## Exercises
#
# Exercise 13.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 13.2 (implement)
#
# Write the statistic of F11: the mean of Spearman's correlations within groups, weighted by the
# number of conditions less one. The check holds groups within which a relation rises while it falls
# over all of them together.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `scipy.stats.spearmanr(x, y).statistic` for each group.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np
import scipy.stats


def within_groups(x, y, groups):
    """The weighted mean of rank correlations within groups; x, y, groups: (n,)."""
    # a group of k conditions has the weight k - 1
    ### BEGIN SOLUTION
    x, y, groups = map(np.asarray, (x, y, groups))
    names, sizes_of = np.unique(groups, return_counts=True)
    inside = [groups == name for name in names]
    each_rho = [scipy.stats.spearmanr(x[own_], y[own_]).statistic for own_ in inside]
    return np.average(each_rho, weights=sizes_of - 1)
    ### END SOLUTION


# %% tags=["check"]
turned_x = [1, 2, 3, 11, 12, 13]
turned_y = [11, 12, 13, 1, 2, 3]
over_all = scipy.stats.spearmanr(turned_x, turned_y).statistic
found = within_groups(turned_x, turned_y, list("aaabbb"))
assert np.isclose(found, 1), f"rises within each group: 1, not {found} (over all {over_all:.2f})"
found = within_groups([1, 2, 1, 2, 3, 4], [2, 1, 1, 2, 3, 4], list("aabbbb"))
assert np.isclose(found, 0.5), f"(1 * -1 + 3 * 1) / 4 = .5, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 13.3 (vary)
#
# Leave one intervention out at a time. Which one carries the correlation? What would you say of a
# finding that hangs on one?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `designs.with_accuracy("intervention")` on the rows that are left.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for column, words in labels.items():
    print(words)
    for kind in measure.KINDS:
        of_kind = compared[compared["kind"] == kind]
        for name in interventions:
            rest = of_kind[of_kind["intervention"] != name]
            found = designs.with_accuracy("intervention")(rest, column)[1]
            print(f"  {kind:<9}without {name:<22}{found}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# If the estimate stays about the same whichever is left out, the association is shared. If it falls
# towards 0, or beyond it, without one of them, the finding is about that one, and its own notebook
# is the better place to read it. An interval that begins to hold 0 when conditions are left out is
# not the same thing: fewer conditions make it wider even where nothing changed. As published, the
# correlation between classes rests on one intervention on either profile: augmentation on digits,
# families on CIFAR-10.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 13.4 (think)
#
# Pool all conditions without regard to interventions. Why can that correlation have another sign,
# or another size, than the one within them?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# What differs between interventions besides accuracy: the network, the images, the labels?
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
for kind in measure.KINDS:
    of_kind = compared[compared["kind"] == kind]
    apart = designs.with_accuracy("intervention")(of_kind, measure.PRIMARY)[1]
    together = designs.with_accuracy()(of_kind, measure.PRIMARY)[1]
    print(f"{kind} classes: inside interventions {apart}; all pooled {together}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# An intervention may be high or low in both for a reason of its own: a network with other
# connections, images that are perturbed, labels that are smoothed. Differences *between*
# interventions then make a correlation over all that no intervention shows (Simpson's paradox).
# They are also compared along different paths, those matched within each. So pooling asks "which
# groups are high in both?" and the claim asks "does it go with accuracy when one thing is varied?".
# (On CIFAR-10 the two hardly differ; on digits they do.)
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 13.5 (extend)
#
# Add an intervention of your own to the synthesis, say the number of epochs. Name the function you
# would write, the line of this notebook that takes it, and what keeps the claim honest afterwards.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Look at a function of [conditions.py](conditions.py) and at `interventions`.
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A function `by_epochs(common, numbers, seeds)` in `conditions.py` that returns configurations by
# condition, like its neighbours; one more entry in `interventions` and in `varied`, and in
# `findings`; a list of numbers as a typed parameter. The statistic needs no change. It is honest if
# the intervention is added because it is of interest, before its networks are measured, and if the
# scoreboard is computed anew with all of them; dropping it again because it went the wrong way is
# what the rule forbids.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
