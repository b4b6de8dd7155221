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
# # Do more training examples raise function frequency between classes, and lower it within?
#
# > **You will be able to** separate more data from more training steps; turn a sweep over sizes
# > into one slope with an interval.
# >
# > **You need** [notebook 03](03_training_time.ipynb).
# >
# > **Takes** about 1 minute with digits on two cores, less where its networks are in the store.
# > **Level**: further.
# >
# > **Words**: [dose](glossary.md#dose), [confidence interval](glossary.md#confidence-interval),
# > [matched paths](glossary.md#matched-paths); all of them, and the [columns of
# > tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **Finding F4.** The paper reports that with more training examples, function frequency along paths
# between classes rises, and along paths within a class falls.
#
# There is a confound. With the number of epochs $E$ fixed, a smaller training set also means fewer
# gradient steps,
#
# $$\text{steps} = E \cdot \left\lfloor \frac{n}{\min(B, n)} \right\rfloor ,$$
#
# and training time alone moves function frequency ([notebook 03](03_training_time.ipynb)). So every
# size is trained twice: with the steps fixed, which is what the claims are about, and with the
# epochs fixed, as the released code does, which is described. Fixed steps leave a second confound:
# the batch is $\min(B, n)$, so a set of at most $B$ images, or hardly more, is trained on full
# batches (of digits' four sets two), without the noise of drawing them, and a slope over the sizes
# holds that difference too.
#
# What is measured is $E(f_c)$, the power of the softmax out of the band below $f_c$ along straight
# paths between test images ([notebook 01](01_measuring_frequency.ipynb) builds it), as a function
# of the number of training images $n$: one slope of $\ln E$ on $\ln n$ a seed.

# %%
import pandas as pd

from lib import measure, plots, runs
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
shares: list[float] = [0.03, 0.1, 0.3, 1.0]  # share: of num_train that is trained on
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
# A seed draws one order of the images; every size takes the first of them, so smaller sets lie
# inside larger ones.

# %%
conditions.training_plan(common, shares).assign(seeds=len(seeds))

# %%
by_size = {
    fixed: conditions.by_training_examples(common, shares, seeds, fixed)
    for fixed in ("steps", "epochs")
}
configs = [config for group in by_size.values() for config in group.values()]
trained = runs.sweep(configs, device)

# %% [markdown]
# Paths are compared only where every network of a seed classifies both ends correctly: otherwise
# small and large training sets would be compared on different images.

# %%
summaries = {
    fixed: measure.sweep(group.values(), protocol, device) for fixed, group in by_size.items()
}
for fixed, summary in summaries.items():
    print(f"{fixed} fixed. {measure.matched_counts(summary)}")
    print(measure.left_out(summary, "num_train"))

# %% [markdown]
# ## What the runs show

# %% tags=["slide"]
both = pd.concat([summary.assign(fixed=fixed) for fixed, summary in summaries.items()])
rows = both[both["kind"] == "within"]
title = "Test accuracy by number of training images"
labels = {"title": title, "xlabel": "training images", "ylabel": "test accuracy"}
columns = ("num_train", "test_accuracy", "fixed")
ax = plots.over_seeds(rows, *columns, legend="fixed number of", logx=True, **labels)

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 5.1 (predict)
#
# There will be two rows of figures: with the steps fixed, and with the epochs fixed. In which of
# them do you expect the steeper rise of power with the size of the training set, and why? Predict
# the ends: how do the two compare at the largest size?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# With the epochs fixed, how many steps does the smallest set get? What does training time alone do
# to frequency?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# At the largest size both are the same runs (their power differs a little: paths are matched over
# other networks). With the epochs fixed small sets also train for fewer
# steps, and training time raises power between classes: the slope holds two causes. With the steps
# fixed that one is gone. A steeper slope with the epochs fixed is what training time adds; if the
# slope turns round with the steps fixed, time had hidden what the examples do. If the slopes were
# alike, examples alone would explain it.
#
# </details>

# %% tags=["slide"]
for fixed, summary in summaries.items():
    labels = {"xlabel": "training images", "title": f"Fixed number of {fixed}"}
    plots.published_and_out_of_band(summary, "num_train", cutoff, **labels, logx=True)

# %% [markdown]
# Is it more transitions, or sharper ones? The class changes a path, and the power for each. And how
# far is each set fitted? The loss on the training images at the end:

# %%
both["train_loss"] = both["key"].map(
    {run.key: run.history["train_loss"].iloc[-1] for run in trained}
)
columns = ["train_loss", "test_accuracy", "num_paths", "changes", "power_softmax_1"]
table = both.groupby(["fixed", "kind", "num_train"])[[*columns, "power_per_change"]].mean()
table.map("{:.3g}".format)

# %% [markdown]
# ## Claims
#
# The verdict takes the sizes with the steps fixed. Each seed gives one slope; the interval is
# Student's over seeds, and an effect is told as a ratio for a doubling of the training set.

# %%
# NBVAL_CHECK_OUTPUT
design = designs.over_doses("num_train", "the training set")
claimed = claims.over_paths("F4", summaries["steps"], design)
for kind in measure.KINDS:
    rows = summaries["epochs"]
    rows = claims.without_floor(rows[(rows["kind"] == kind) & rows["included"]])
    statement = f"{kind} classes, power out of band, epochs fixed"
    claimed.append(claims.described("F4", statement, *design(rows, measure.PRIMARY)))
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
# Read the two experiments against each other. What appears with the epochs fixed and not with the
# steps fixed needs training time to appear; whether examples do something of their own besides, it
# can't say. For with the steps fixed the sizes are not fitted equally far, as the training loss
# shows: the fewer the images, the further. That may move power the other way than time does. It is
# not mere sureness: the set that is fitted best is the steepest between classes neither with digits
# nor with CIFAR-10, and within classes not the flattest but the one with the most power.
# No design here has size alone vary. The verdict is about the softmax above the
# lowest cutoff; the column "variants" says of how many of the twelve measures (three cutoffs, power
# and share, softmax and standardised logits) the same holds.

# %% [markdown]
# ## Exercises
#
# Exercise 5.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 5.2 (implement)
#
# Write the plan of the experiment: the number of epochs that gives a set of $n$ images as many
# steps as the whole set gets.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# An epoch of $n$ images has $\lfloor n / \min(B, n) \rfloor$ steps: the last, partial batch is
# dropped. Round to whole epochs.
#
# </details>


# %% jupyter={"source_hidden": true} tags=["solution"]
def epochs_of_equal_steps(images_used, all_images, batch_size, epochs):
    """Epochs for `images_used` with about as many steps as `epochs` of `all_images` have."""
    # steps of an epoch, for each of the two numbers of images
    ### BEGIN SOLUTION
    an_epoch = [count // min(batch_size, count) for count in (images_used, all_images)]
    return round(epochs * an_epoch[1] / an_epoch[0])
    ### END SOLUTION


# %% tags=["check"]
from notebooks import conditions

plan_checked = conditions.training_plan(
    {"num_train": 1297, "num_epochs": 20, "batch_size": 128}, [0.03, 0.1, 0.3, 1.0]
)
for line_of_plan in plan_checked[plan_checked["fixed"] == "steps"].itertuples():
    found = epochs_of_equal_steps(line_of_plan.num_train, 1297, 128, 20)
    right = line_of_plan.num_epochs
    assert found == right, f"{line_of_plan.num_train} images: {right} epochs, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 5.3 (vary)
#
# With the steps fixed, the smallest set is seen many times over. How often does a network see each
# image there, and how often for each of the other sizes? What might that do within classes?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `conditions.training_plan(common, shares)` has a row a size.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
plan = conditions.training_plan(common, shares)
in_steps = plan[plan["fixed"] == "steps"].set_index("num_train")["num_epochs"]
for size, times in in_steps.items():
    print(f"{size} images: seen {times} times, against {num_epochs} with the epochs fixed")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Few images, seen very often, are fitted to the last: the loss goes on falling by growing
# confidence. One might expect a softmax flat within classes and steep between. The table says
# otherwise: within, the smallest set has the most power. Its network is sure of its own images, not
# of the test images that the paths run between. So fixing the steps removes one confound and lets
# another in, how far each set is overfitted. No design fixes both steps and epochs. Stating which
# is fixed, and showing the other, is what can be done.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 5.4 (think)
#
# How many paths would be left if each network chose its own: those whose ends *it* classifies
# correctly? Why would that be unfair to the smallest training set, or unfairly kind?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `measure.sweep` of a single configuration matches a network with itself alone.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
alone = [
    measure.sweep([config], protocol, device).assign(size=size)
    for (size, _), config in by_size["steps"].items()
]
own = pd.concat(alone).pivot_table(index="size", columns="kind", values="num_paths")
print(own.round(0))

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A weak network gets right the images that are easy: typical ones, far from every border. Left to
# choose, it is measured along easy paths and a strong network along hard ones, so that a difference
# between them is one of images as well as of functions. Matching asks all of them the same
# question. Its price: only the images that the weakest still knows are asked about, and the claim
# is about those.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 5.5 (extend)
#
# Design a third arm: neither epochs nor steps are fixed, but the training *loss* at the end. Which
# lines of the code would change, and which confound would it bring in?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Where is `num_epochs` of a configuration set, and is it known before training?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The plan in `notebooks/conditions.py` would need runs that are trained long and a rule that picks,
# from the history kept with each, the checkpoint nearest to the wanted loss; the measurement is
# then taken at that epoch, for which checkpoints have to be kept more often than at powers of two.
# What comes in: networks that are compared at equal loss are at different points of the
# learning-rate schedule, and a small set reaches a low loss by memorising. So "equally well fitted"
# and "equally trained" part ways, and the arm answers a third question.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
