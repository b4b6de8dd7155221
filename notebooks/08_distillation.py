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
# # Does self-distillation raise accuracy, and frequency between classes, and lower it within?
#
# > **You will be able to** test a premise before what rests on it; say why a student needs an
# > initialisation of its own.
# >
# > **You need** [notebook 03](03_training_time.ipynb).
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [verdict](glossary.md#verdict), [seed](glossary.md#seed),
# > [softmax](glossary.md#softmax); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F7.** Train a network; then train another of the same architecture on the first one's
# outputs, and so on for a few generations. With weight $\alpha$ on the true labels $y$ and the
# teacher's softmax $q(x)$ (temperature 1),
#
# $$\mathcal{L} = \text{CE}\bigl(\alpha\,y + (1 - \alpha)\,q(x),\ p(x)\bigr).$$
#
# The paper reports that self-distillation, where it helps accuracy, raises function frequency
# between classes and lowers it within.

# %% [markdown]
# So there is a **premise**, and it is tested first: are students more accurate, on average, than
# networks without a teacher? Where they are not, the rest of the finding is not testable here.
# Where they are, the power of the softmax out of band $E(f_c)$ along paths between test images
# ([notebook 01](01_measuring_frequency.ipynb) builds it) is compared within each seed,
#
# $$\ln\bigl(E_\text{student} / E_\text{no teacher}\bigr) .$$
#
# Whether it holds is chosen in part: on CIFAR-10 networks are trained without augmentation here,
# perhaps because a teacher that knows its training images no better than others has little to hand
# on. A pilot at a seed outside the study (resnet8-16, 20 epochs; its runs are not kept) gave one
# student each of $\alpha$ = 0 and .5; beside their teacher they were 2.9 and 2.0 points more
# accurate without augmentation, and -1.1 and +.8 with flips and crops. So what follows there is
# about networks that lack augmentation.

# %% [markdown]
# A student starts from an initialisation and an order of the images of its own. Were they its
# teacher's, it would retrace its teacher's training, and look alike for that reason; as it is,
# students differ from the network without a teacher by chance as well, and the spread over seeds
# holds that.

# %%
import itertools

import numpy as np
import pandas as pd
import seaborn as sns

from lib import measure, plots, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig, predict
from notebooks import conditions
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7]  # seed: one replication each
true_label_weights: list[float] = [0.0, 0.5]  # share: alpha, of the true labels
num_generations: int = 2  # generations: of students, each taught by the one before
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
# ## The experiment
#
# Generation 0 has no teacher: $\alpha = 1$, the baseline of the other notebooks. A student needs
# its teacher's run; where the store lacks it, it is trained first.

# %%
configs = conditions.by_distillation(common, true_label_weights, num_generations, seeds)
plan = pd.DataFrame(configs.keys(), columns=["alpha", "generation", "seed"])
plan[["alpha", "generation"]].value_counts(sort=False).reset_index(name="runs")

# %%
trained = runs.sweep(configs.values(), device)
summary = measure.sweep(configs.values(), protocol, device)
summary["role"] = np.where(summary["generation"] == 0, "no teacher", "student")

# %% [markdown]
# ## The premise: are students better, on average, than no teacher?
#
# Each student's test accuracy less that of its seed's network without a teacher, in percentage
# points.

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 8.1 (predict)
#
# Students learn from a teacher of their own architecture. Predict the next figure: are they on
# average more accurate than the network of their seed that had no teacher, by how many percentage
# points, and does it depend on $\alpha$? How far do the points of one colour scatter?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# How many test images is one percentage point? And what does a teacher know that its training
# labels do not say?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# What a teacher can add lies in the classes that it finds *almost* right. If it fits its training
# images perfectly, its softmax there is the label once more, and the student is just another
# network: gains scatter around 0 by as much as two seeds of the same network differ. A gain needs a
# teacher that is unsure of some training images, by noise or early stopping, say; augmentation
# makes it unsure as well, but our pilot with it, on CIFAR-10, saw no gain on average. If you
# predicted a gain, say where the information comes from.
#
# </details>

# %% tags=["slide"]
networks = summary[summary["kind"] == "within"]
alone = networks[networks["generation"] == 0].set_index("seed")["test_accuracy"]
students = networks[networks["generation"] > 0].copy()
students["gained"] = 100 * (students["test_accuracy"] - students["seed"].map(alone))

palette = sns.color_palette("viridis", len(true_label_weights))
points = {"x": "generation", "y": "gained", "hue": "true_label_weight", "palette": palette}
apart = 0.4 if len(true_label_weights) > 1 else False
means = {"linestyle": "none", "errorbar": None, "marker": "_", "markersize": 30, "dodge": apart}
ax = sns.stripplot(students, **points, dodge=True, jitter=0.1, alpha=0.6, legend="full")
sns.pointplot(students, **points, **means, legend=False, ax=ax)
ax.axhline(0, color="k", lw=1)
ax.set(title=f"Students against no teacher, whose mean accuracy is {alone.mean():.3f}")
ax.set(xlabel=f"generation\n(one point a network, {len(seeds)} seeds; bars: means)")
ax.set(ylabel="accuracy gained (percentage points)")
legend = ax.legend(title="alpha", **plots.SMALL, **plots.BESIDE)

# %% [markdown]
# ## What the runs show
#
# Networks are compared along matched paths only: those whose two ends every network of a seed
# classifies correctly.

# %%
print(measure.matched_counts(summary))
alphas, generations = summary["true_label_weight"], summary["generation"]
named = [f"alpha {one:g} (generation {of})" for one, of in zip(alphas, generations, strict=True)]
print(measure.left_out(summary.assign(network=named), "network"))
compared = summary[summary["included"]]
first = compared[compared["generation"] == 0]
firsts = [first.assign(true_label_weight=alpha) for alpha in true_label_weights]
lines = pd.concat([*firsts, compared[compared["generation"] > 0]])

# %%
of_kind = {kind: lines[lines["kind"] == kind] for kind in measure.KINDS}
options = {"x": "generation", "hue": "true_label_weight", "legend": "alpha"}
options |= {"xlabel": "generation (0: no teacher)"}
panels = [(rows, "hff", f"{kind} classes", "HFF") for kind, rows in of_kind.items()]
axes = plots.row(panels, title="Published: HFF, all paths", **options)
axes[0].get_legend().remove()
legend = axes[1].legend(title="alpha", **plots.SMALL, **plots.BESIDE)

# %% tags=["slide"]
name, label = measure.PRIMARY, f"power above {cutoff:g} cycles/nu"
options |= {"note": f"{measure.matched_counts(summary)} Dashed: the floor."}
panels = [(rows, name, f"{kind} classes", label) for kind, rows in of_kind.items()]
axes = plots.row(panels, title="Power out of band, matched paths", **options)
for ax, rows in zip(axes, of_kind.values(), strict=True):
    floor = rows.groupby("generation")[name.replace("power", "floor")].mean()
    ax.plot(floor.index, floor, "k--", lw=1)
    ax.set(yscale="log", xticks=range(num_generations + 1))
axes[0].get_legend().remove()
legend = axes[1].legend(title="alpha", **plots.SMALL, **plots.BESIDE)

# %%
columns = ["test_accuracy", "num_paths", "hff", "changes", "power_softmax_1", "power_logits_1"]
table = summary.groupby(["kind", "true_label_weight", "generation"])[columns].mean()
table.map("{:.3g}".format)

# %% [markdown]
# ## Claims
#
# Students of every alpha and generation against the network of their seed without a teacher, their
# mean by seed; the interval is Student's over seeds. Described beside them: the last generation of
# students against the first.

# %%
# NBVAL_CHECK_OUTPUT
design = designs.against("role", "student", "no teacher")
options = {"measure": "test_accuracy", "published": None, "variants": ["test_accuracy"]}
premise = claims.primary("F7", "accuracy", design, networks, **options)
better = premise.effect.p <= verdicts.LEVEL and premise.effect.estimate > 0
reason = "" if better else "premise fails: on average, students not more accurate than no teacher"
claimed = [premise, *claims.over_paths("F7", summary, design, reason=reason)]
over_generations = designs.over_time("generation", "generation")
gained = over_generations(networks[networks["generation"] > 0], "test_accuracy")
claimed.append(claims.described("F7", "accuracy over generations of students", *gained))
clear = claims.without_floor(compared[compared["generation"] > 0])
for kind in measure.KINDS:
    rows = clear[clear["kind"] == kind]
    statement = f"{kind} classes, power out of band over generations of students"
    tested = over_generations(rows, measure.PRIMARY)
    claimed.append(claims.described("F7", statement, *tested))
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
# The premise is about the mean student. (Negligible means within a point of accuracy: of digits'
# 1.4 % errors that is a good part, so read the interval.) Were the best of several students taken,
# one would be better than its teacher by luck alone. Where the premise fails, a change of frequency
# from no teacher to a teacher may still be seen, in the tables and figures above; it is then no
# evidence on what goes with better accuracy.
#
# A student at $\alpha = 0$ sees no true label at all, only its teacher's softmax on the training
# images. A teacher that fits these perfectly has nothing to add to their labels. And a teacher that
# is as sure of its training images as of others hands on labels that are soft, and no more. Labels
# as soft without any teacher would be the control for that, which is not trained here; the nearest
# in the study, smoothing by one half in notebook 10, raises the power of standardised logits.

# %% [markdown]
# The finding sets the two kinds of path against each other. Where power falls in both alike, one
# half of it holds and the other is contradicted, by one and the same effect. Compare the fall of
# the softmax with that of standardised logits: where the logits fall less, the rest is a change of
# their scale, so of sureness. And compare means with medians: within classes the mean of the
# softmax is that of the few paths where it wavers (with CIFAR-10 those with a transition; with
# digits there is hardly one), while most are flat, and can get less flat as it falls; logits have
# no such flat ends.
#
# Nor is a fall a mark of distillation, or of accuracy, where networks train without augmentation:
# in notebook 07 on CIFAR-10 every augmentation lowers power from there in both kinds of path, those
# that gain no accuracy included.

# %% [markdown]
# ## Exercises
#
# Exercise 8.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 8.2 (implement)
#
# Write the loss of a student, $\text{CE}(\alpha\, y + (1 - \alpha)\, q,\ p)$, from logits.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A log-softmax is logits less the logarithm of the sum of their exponentials; take away the largest
# logit first.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def distillation_loss(logits, teacher, true_class, alpha):
    """Mean cross-entropy, nats. logits: (n, classes); teacher: its softmax, (n, classes);
    true_class: (n,) of int; alpha: the weight of the true labels."""
    # the target is a mixture of a one-hot label and the teacher's softmax
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = alpha * np.eye(logits.shape[1])[true_class] + (1 - alpha) * teacher
    return -(target * log_p).sum(axis=1).mean()
    ### END SOLUTION


# %% tags=["check"]
some_logits = np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 800.0]])
own_softmax = np.exp(some_logits - some_logits.max(1, keepdims=True))
own_softmax /= own_softmax.sum(1, keepdims=True)
some_classes = np.array([0, 2])
found = distillation_loss(some_logits, own_softmax, some_classes, 1.0)
right = -np.log(own_softmax[0, 0]) / 2
assert np.isclose(found, right), f"alpha 1 is plain cross-entropy: {right:.4f}, not {found}"
found = distillation_loss(some_logits, own_softmax, some_classes, 0.0)
right = -(own_softmax[0] * np.log(own_softmax[0])).sum() / 2
assert np.isclose(found, right), f"its own softmax for a teacher, the entropy: not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 8.3 (vary)
#
# What would choosing do? For each seed, how much better than no teacher is the best of its
# students, and how much better the mean one? Vary how many students there are to choose from.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `students` has a row a student; `itertools.combinations` has every choice of $k$ of a seed's.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
print(students.groupby("seed")["gained"].agg(["mean", "max"]).round(2))
for count in range(1, len(students) // len(seeds) + 1):
    best = [
        max(few)
        for _, own in students.groupby("seed")["gained"]
        for few in itertools.combinations(own, count)
    ]
    print(f"best of {count}: {np.mean(best):.2f}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The best of several draws is above their mean even where all come from the same distribution, and
# the more so the more there are. (Here they do not quite: students differ by $\alpha$ and
# generation too.) A table that shows the best student against one teacher shows luck
# as progress. Compare means with means; or choose on one set of images and report on another.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 8.4 (think)
#
# How sure is a teacher of its training images? Compare with $\alpha$: what does it add to the
# labels there?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The largest softmax at each of the teacher's own training images; the seed's order of images says
# which those are.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
config, run = configs[1.0, 0, seeds[0]], trained[0]
images, teacher = config.load_data(), config.build()
teacher.load_state_dict(run.weights(num_epochs))
order = np.random.default_rng(config.seed).permutation(len(images.x_train))[: config.num_train]
softmax = predict(teacher, images.x_train[order], images).softmax(1)
print("largest softmax of the teacher at its training images:")
print(pd.Series(softmax.max(1).values).describe().round(4))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Where the largest softmax is near 1 for nearly all images, $q$ is nearly the label, and $\alpha$
# mixes the label nearly with itself: there is little accuracy to hand on. Little is not nothing. A
# softmax that stops short of 1 no longer asks for endless sureness: with digits the power between
# classes still falls by a third. So a finding that is not testable under one profile says something
# of that profile: it has no room for distillation to raise accuracy.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 8.5 (extend)
#
# The temperature is 1 here. Propose a change to the study that softens the teacher by a temperature
# $T$: which file, which parameter, which limits, and what would you have to run before claiming
# anything?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Follow the teacher's softmax through `lib/training`: where is it computed, and what is part of a
# run's key?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A field of `TrainingConfig`, so that it enters the key of a run; the teacher's logits divided by
# $T$ before their softmax, where training reads its teacher; a limit above 0 with its unit in the
# table of limits; a condition in `notebooks/conditions.py`, and the list of temperatures as a
# parameter of this notebook. Every old run has $T = 1$ by default and keeps its key only if a
# default is left out of it. Before any claim: declare it among the primaries, then train at least
# five seeds of each, teachers too.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals(), opened=trained[:1])
