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
# # Self-distillation that raises accuracy raises frequency between classes and lowers it within
#
# **Finding F7.** Train a network; then train another of the same architecture on the first one's
# outputs, and so on for a few generations. With weight $\alpha$ on the true labels $y$ and the
# teacher's softmax $q(x)$ (temperature 1),
#
# $$\mathcal{L} = \text{CE}\bigl(\alpha\,y + (1 - \alpha)\,q(x),\ p(x)\bigr).$$
#
# The paper reports that self-distillation, where it helps accuracy, raises function frequency
# between classes and lowers it within. Generation 0 is the teacher of all: the baseline that the
# other notebooks use too.

# %%
import pandas as pd

from lib import claims, measure, plots, provenance, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
seeds: list[int] = [0, 1, 2]  # seed: one replication each
true_label_weights: list[float] = [0.0, 0.3, 0.7]  # share: alpha, of the true labels
num_generations: int = 3  # generations: each taught by the one before
num_epochs: int = 20  # epochs: of every run
num_train: int = 1297  # images: trained on, drawn by the seed
num_test: int = 500  # images: every measure is taken on
batch_size: int = 128  # images: a training step
lr: float = 0.1  # per step: learning rate at the start of the cosine
augmentation: str = "none"  # name: none, or steps joined by +, see lib.data.augmentation
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
#
# A student needs its teacher's run; where the store lacks it, it is trained first.

# %%
common = TrainingConfig.fields_in(parameters)
configs = []
for seed in seeds:
    baseline = TrainingConfig(**common, seed=seed)
    configs.append(baseline)
    for alpha in true_label_weights:
        student = baseline
        for _ in range(num_generations):
            taught = {"teacher": student, "true_label_weight": alpha}
            student = TrainingConfig(**common, seed=seed, **taught)
            configs.append(student)
protocol = measure.Protocol(**measure.Protocol.fields_in(parameters))
generations = [1] + [num_generations] * len(true_label_weights)
plan = {"alpha": [1.0, *true_label_weights], "generations": generations, "seeds": len(seeds)}
pd.DataFrame(plan)

# %%
trained = runs.sweep(configs, device)
summary, _ = measure.sweep(configs, protocol, device)

# %% [markdown]
# ## What the runs show

# %%
first = summary[summary["generation"] == 0]
firsts = [first.assign(true_label_weight=alpha) for alpha in true_label_weights]
lines = pd.concat([summary[summary["generation"] > 0], *firsts])
every = lines[(lines["selection"] == "all") & (lines["kind"] == "within")]
correct = lines[lines["selection"] == "correct"]
between, within = (correct[correct["kind"] == kind] for kind in ("between", "within"))
share = f"share above {cutoff:g} cycles/nu"
panels = [
    (every, "test_accuracy", "Test accuracy", "test accuracy"),
    (between, "power_softmax", "Corrected, between classes", share),
    (within, "power_softmax", "Corrected, within classes", share),
]
axes = plots.row(panels, "generation", "true_label_weight", xlabel="generation")
for ax in axes:
    ax.set_xticks(range(num_generations + 1))
    ax.get_legend().remove()
legend = axes[-1].legend(title="alpha", **plots.BESIDE)

# %% [markdown]
# ## Claims
#
# Over all students and their teachers, within each seed: does the measure go with accuracy? And
# does it go with the generation?

# %%
# NBVAL_CHECK_OUTPUT
claimed = claims.path_trends("F7", summary, "test_accuracy", "accuracy over distillations")
claimed += claims.path_trends("F7", lines, "generation", "the generation")
claims.show(claimed)

# %%
claims.table(claimed)

# %% [markdown]
# ## What to make of it
#
# If distillation barely moves accuracy here, the correlations with accuracy are correlations with
# noise, and their intervals will say so. The rows by generation do not need accuracy to move. A
# student at $\alpha = 0$ sees no true label at all, only its teacher's softmax on augmented images.
#
# ## Exercises
#
# 1. How far apart are the best and the worst mean accuracy over generations and alphas? Compare
#    with the spread over seeds.
# 2. Does a student of a later generation become more or less confident? Compare the rows for
#    softmax and for calibrated softmax.

# %% tags=["solution"]
accuracy = every.groupby(["true_label_weight", "generation"])["test_accuracy"]
print(accuracy.agg(["mean", "min", "max"]).round(3))

# %% tags=["solution"]
students = between.groupby(["true_label_weight", "generation"])
print(students[["power_softmax", "power_calibrated"]].mean().round(4))

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
