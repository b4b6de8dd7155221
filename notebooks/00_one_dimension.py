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
# # Does a network on a line learn low frequencies first?
#
# > **You will be able to** see spectral bias on a line, step by step; compute a network's tangent
# > kernel by hand and say from it, before training, which frequencies come late; name three
# > remedies and what they cost.
# >
# > **You need** PyTorch, gradient descent, the discrete Fourier transform; nothing about spectral
# > bias.
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: first steps.
# >
# > **Words**: [spectral bias](glossary.md#spectral-bias), [NTK](glossary.md#ntk), [Fourier
# > transform](glossary.md#fourier-transform), [residual](glossary.md#residual); all in the
# > [glossary](glossary.md).

# %% [markdown]
# **The primer.** Before images, the smallest case that shows spectral bias: a network with one
# input and one output fits a sum of sinusoids
#
# $$y(x) = \sum_{k} \sin\bigl(\pi k\,(x + 1) + \varphi_k\bigr), \qquad x \in [-1, 1),$$
#
# on equally spaced points, all of them in every step. Each sinusoid has amplitude 1, so none is
# easier to *see* than another; they differ in frequency $k$, in **cycles** over the line, and in
# phase $\varphi_k$, drawn by the seed.
#
# We watch one sinusoid at a time. With $F_k$ and $Y_k$ the discrete Fourier transforms of the
# network's output and of the target at frequency $k$,
#
# $$\text{amplitude}_k = \frac{|F_k|}{|Y_k|}, \qquad \text{error}_k = \frac{|F_k - Y_k|}{|Y_k|}.$$
#
# The amplitude is the measure of Rahaman et al. (2019): 0, the sinusoid is missing; 1, it is there.
# It cannot see a sinusoid of the right size at the wrong place; the error can: 1, ignored; 0,
# fitted. The **learning time** of a frequency is the first step at which its error is below one
# half. The question is whether it rises with frequency: one slope of the logarithm of the learning
# time on the logarithm of $k$ a seed.

# %% [markdown]
# **Why should frequency matter at all?** Gradient descent with learning rate $\eta$ on
# $\frac1{2N}\sum_i (f(x_i) - y_i)^2$ changes the weights along the outputs' derivatives $J$ by the
# weights. As long as $J$ barely moves, the residual $r = f - y$ on the $N$ points obeys, with the
# **neural tangent kernel** $Q = J J^\top$,
#
# $$r(t + 1) = \Bigl(1 - \tfrac{\eta}{N} Q\Bigr)\,r(t), \qquad
#   \text{so a normalised sinusoid } v_k \text{ is halved in about }
#   \frac{N \ln 2}{\eta\; v_k^\top Q\, v_k} \text{ steps.}$$
#
# So the kernel at the *start*, before any training, foretells which frequencies will come late, as
# far as this holds.

# %%
import numpy as np
import pandas as pd
import seaborn as sns

from lib import plots, runs, stats
from lib.parameters import check_typed
from notebooks import live, touch
from notebooks.by_hand import same
from notebooks.primer import Network, OneDimensionalConfig, tangent_kernel
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
low_frequencies: list[int] = [1, 2, 3, 4, 5]  # cycles: of the low target
high_frequencies: list[int] = [150, 160, 170, 180]  # cycles: of the target without low ones
num_points: int = 64  # points: on the line, for ReLU and Fourier features
num_siren_points: int = 768  # points: on the line, for SIREN and WINNER
num_steps: int = 2000  # steps: of gradient descent
num_siren_steps: int = 300  # steps: of Adam, for SIREN and WINNER
width: int = 64  # units: in each hidden layer
depth: int = 3  # layers: hidden ones
gd_lr: float = 0.5  # share of the largest stable step: learning rate of gradient descent
adam_lr: float = 0.0005  # per step: learning rate of Adam
sigma: float = 4.0  # cycles per unit of x: std of the Fourier features' frequencies
first_noise: float = 0.1  # factor: of WINNER's noise in the first layer
second_noise: float = 3.0  # factor: of WINNER's noise in the second layer
device: str = "cpu"  # name: auto, cpu or cuda; these networks are too small to gain from cuda

# %%
check_typed(globals())
plots.style()

# %% [markdown]
# ## The experiment
#
# Four multilayer perceptrons of the same width and depth (their code: [primer.py](primer.py)):
#
# * **ReLU**: nothing added.
# * **Fourier features** (Tancik et al. 2020): the same network, fed $[\cos, \sin](2\pi B x)$ with
#   random frequencies $B \sim \mathcal N(0, \sigma^2)$ instead of $x$.
# * **SIREN** (Sitzmann et al. 2020): $\sin(30\,\cdot)$ in place of ReLU, weights drawn to suit it.
# * **WINNER** (2025): a SIREN that starts from noisier weights. Gaussian noise is added to the
#   weights of the first two layers, the more the higher the target's spectral centroid (its mean
#   frequency, weighted by amplitude). How exactly the noise follows the centroid is this study's
#   choice: `first_noise` times the centroid in radians per unit of $x$, `second_noise` times the
#   centroid as a share of the highest frequency that the points resolve.
#
# ReLU and Fourier features are trained by plain gradient descent, for which the theory above is
# written, with the learning rate given as a share of the largest stable one, $2N$ over the largest
# eigenvalue of $Q$. SIREN and WINNER are trained by Adam, as usual for them, also on a target that
# has *only* high frequencies.

# %%
size = {"width": width, "depth": depth}
points = {"num_points": num_points, "num_steps": num_steps}
siren_points = {"num_points": num_siren_points, "num_steps": num_siren_steps}
by_descent = {"optimizer": "gd", "lr": gd_lr, **points, **size}
by_adam = {"optimizer": "adam", "lr": adam_lr, **siren_points, **size}
features = {"network": "fourier", "sigma": sigma}
noisy = {"network": "winner", "first_noise": first_noise, "second_noise": second_noise}
low, high = tuple(low_frequencies), tuple(high_frequencies)
arms = {
    "ReLU, low": {"network": "relu", "frequencies": low, **by_descent},
    "Fourier features, low": {**features, "frequencies": low, **by_descent},
    "SIREN, low": {"network": "siren", "frequencies": low, **by_adam},
    "SIREN, high": {"network": "siren", "frequencies": high, **by_adam},
    "WINNER, high": {**noisy, "frequencies": high, **by_adam},
}
configs = [OneDimensionalConfig(**arm, seed=seed) for arm in arms.values() for seed in seeds]
pd.DataFrame(arms).T.assign(runs=len(seeds)).fillna("")

# %%
trained = runs.sweep(configs, device)

# %%
arm_names = np.repeat(list(arms), len(seeds))
histories = [run.history.assign(arm=arm) for run, arm in zip(trained, arm_names, strict=True)]
history = pd.concat(histories, ignore_index=True)

# %% [markdown]
# ## Watching it happen
#
# One ReLU network, four moments. The grey line is the target.

# %% tags=["slide"]
arrays, logged = trained[0].arrays(), trained[0].history["step"].unique()
x = np.arange(num_points) * 2 / num_points - 1
figure, axes = plots.plt.subplots(1, 4, figsize=(13, 3.6), sharey=True)
for ax, step in zip(axes, np.geomspace(max(num_steps / 1000, 1), num_steps, 4), strict=True):
    nearest = np.abs(logged - step).argmin()
    ax.plot(x, arrays["target"][0], color="0.7", lw=3, label="target")
    ax.plot(x, arrays["output"][nearest], color="C0", label="network")
    ax.set(title=f"after {logged[nearest]} steps", xlabel="x")
axes[0].set_ylabel("output")
axes[0].legend(fontsize="small", loc="lower right")
figure.suptitle(f"A ReLU network on the way to its target (seed {seeds[0]})")
figure.tight_layout()

# %% [markdown]
# The same network at every logged step: **the learning front**. In the map a row is a frequency of
# the target; dark means fitted. Beneath it, where scripts run, the slider (or Play) goes through
# the steps: the fit, the strength of each frequency in the network's output, and the place in the
# map.

# %%
first_run = trained[0].history
front = first_run.pivot(index="frequency", columns="step", values="error").clip(upper=1)
figure, ax = plots.plt.subplots()
mesh = ax.pcolormesh(logged, range(len(low)), front, cmap="viridis", shading="nearest")
figure.colorbar(mesh, ax=ax, label="error (1 ignored, 0 fitted)")
ax.set(title=f"The learning front of a ReLU network (seed {seeds[0]})", xlabel="step", xscale="log")
ax.set(ylabel="frequency (cycles)", yticks=range(len(low)), yticklabels=front.index)
ax.grid(visible=False)
figure.tight_layout()

# %%
output, target = arrays["output"], arrays["target"][0]
bins = np.arange(1, min(2 * max(low), num_points // 2) + 1)
strength = np.abs(np.fft.rfft(output))[:, bins] * 2 / num_points  # 1: as in the target
reach, places = 1.2 * np.abs(target).max(), np.array([[step, step] for step in logged])

# %%
span, rows = (logged[0], logged[-1]), (0.5, len(low) + 0.5)
fit = [touch.Curve(x, target, "target", "0.7"), touch.Curve(x, output, "network", "C0")]
of_target = touch.Curve(list(low), np.ones(len(low)), "target", "0.7", "o")
spectrum = [of_target, touch.Curve(bins, strength, "network", "C0", "o")]
here = [touch.Curve(places, rows, "the slider's step", "C3")]
heat = {"heat": front.to_numpy(), "heat_x": logged, "heat_rows": tuple(front.index)}
name = "Its error: yellow, ignored; dark, fitted"
panels = [
    touch.Panel("The fit", "x", "output", (-1, 1), (-reach, reach), fit),
    touch.Panel("Its spectrum", "cycles", "amplitude", (0, bins[-1] + 1), (0, 1.5), spectrum),
    touch.Panel(name, "step", "frequency (cycles)", span, rows, here, logx=True, **heat),
]
fitted = [", ".join(f"{k:g}" for k in low if front.loc[k, step] < 0.5) for step in logged]
told = [
    f"step {step}; cycles fitted: {some or '-'}" for step, some in zip(logged, fitted, strict=True)
]
touch.slider(panels, "step of training", told, pause=120)

# %% [markdown]
# With a kernel, any other run: its network, its seed, and how far through its training.


# %%
def moment(network, seed, progress):
    """Fit and spectrum of a run when this share of its logged steps is over."""
    run = trained[list(arms).index(network) * len(seeds) + seeds.index(seed)]
    of_run, steps = run.arrays(), run.history["step"].unique()
    step = round(progress * (len(steps) - 1))
    both = np.stack([of_run["target"][0], of_run["output"][step]])
    points, cycles = both.shape[1], np.arange(1, both.shape[1] // 2)
    strengths = np.abs(np.fft.rfft(both))[:, cycles] * 2 / points
    x, told = np.arange(points) * 2 / points - 1, f"after {steps[step]} steps"
    looks = [("target", "0.7"), ("network", "C0")]
    fits = [touch.Curve(x, y, *look) for y, look in zip(both, looks, strict=True)]
    dots = [touch.Curve(cycles, y, *look, "o") for y, look in zip(strengths, looks, strict=True)]
    return [
        touch.Panel(f"The fit {told}", "x", "output", (-1, 1), touch.around(both[0]), fits),
        touch.Panel("Its spectrum", "cycles", "amplitude", (0, cycles[-1]), (0, 1.5), dots),
    ]


live.live(moment, network=arms, seed=seeds, progress=np.linspace(0, 1, 61))

# %% [markdown]
# Now every frequency by itself, for all seeds, with and without Fourier features. A frequency is
# learned where its curve falls below the dashed line.

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 0.1 (predict)
#
# Before you run the next cell: in which order do the errors of the ReLU network fall below the
# dashed line, and how far apart? Will Fourier features turn the order round, keep it, or draw the
# curves together? Sketch both panels.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# The loss weighs every sinusoid alike. What does the kernel of each network say of slow and of fast
# ones?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# Nothing in the loss orders the sinusoids; the kernel does. A ReLU network's kernel varies slowly
# along the line, so its large eigenvalues belong to slow functions, and the slow sinusoid falls
# first, the fast ones later by large factors (hence the logarithmic axis). Fourier features change
# the kernel, not the target: as far as their frequencies cover the target's, its eigenvalues are
# alike there, and the curves draw together. They need not change places. A prediction that gave
# only the order, and not the distance, is half of one.
#
# </details>

# %% tags=["slide"]
descent_arms = ["ReLU, low", "Fourier features, low"]
label = "error (1 ignored, 0 fitted)"
panels = [(history[history["arm"] == arm], "error", arm, label) for arm in descent_arms]
options = {"legend": "cycles", "xlabel": "step", "marker": ""}
title = "Error of each frequency over gradient descent"
axes = plots.row(panels, "step", "frequency", title=title, **options)
for ax in axes:
    ax.axhline(0.5, color="k", lw=0.8, ls="--")
    ax.set(xscale="log", ylim=(0, 1.5))
axes[0].get_legend().remove()
axes[0].figure.tight_layout()

# %% [markdown]
# ## First principles: the kernel, by hand
#
# What a gradient step does to the outputs is decided by $Q = J J^\top$. For a ReLU network that is
# a few lines of NumPy. A pass forward keeps what goes into each layer; a pass backward carries
# along how the output changes with what comes out of it. A weight's derivative is the product of
# the two, so for two points a layer's share of $Q$ is one product of sums. The line beneath each
# step says whether the run, which has its kernel from automatic differentiation, has the same.

# %%
config = configs[0]  # ReLU, the first seed: its weights before the first step
layers = [
    (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
    for layer in Network(config).layers
]
into = [x[:, None]]
for weight, bias in layers[:-1]:
    into.append(np.maximum(into[-1] @ weight.T + bias, 0))
output = (into[-1] @ layers[-1][0].T + layers[-1][1])[:, 0]

# %%
Q, change = 0, np.ones((num_points, 1))
for (weight, _), h in zip(reversed(layers), reversed(into), strict=True):
    Q = Q + (change @ change.T) * (h @ h.T + 1)  # the 1 is the bias's share
    change = (change @ weight) * (h > 0)
in_lib = tangent_kernel(Network(config), config.points()[0])
same("Q", Q, in_lib, within=1e-4)

# %% [markdown]
# **One sinusoid on its own** is halved after $N \ln 2 / (\eta\, v^\top Q v)$ steps.

# %%
eta = gd_lr * 2 * num_points / np.linalg.eigvalsh(Q)[-1]
waves = config.points()[1].double().numpy()  # (points, sinusoids)
v = waves / np.linalg.norm(waves, axis=0)
halved = num_points * np.log(2) / (eta * (v * (Q @ v)).sum(axis=0))
rows = histories[0]
same("steps to the half", halved, rows["rayleigh_time"].iloc[: len(low)], within=1e-3)

# %% [markdown]
# **All together.** The residual of the linearised network shrinks step by step, by $Q$ alone. Its
# Fourier transform says how much of each sinusoid is left.

# %%
residual, target = output - waves.sum(axis=1), np.fft.rfft(waves.sum(axis=1))[list(low)]
left = [np.abs(np.fft.rfft(residual)[list(low)] / target)]
for _ in range(num_steps):
    residual = residual - eta / num_points * Q @ residual
    left.append(np.abs(np.fft.rfft(residual)[list(low)] / target))
logged = rows["step"].unique()
foretold = rows["predicted_error"].to_numpy().reshape(len(logged), len(low))
same("predicted errors", np.array(left)[logged], foretold, within=1e-3)

# %%
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
picture = axes[0].imshow(Q, cmap="viridis", extent=(-1, 1, 1, -1))
figure.colorbar(picture, ax=axes[0])
axes[0].set(title="The kernel before training", xlabel="x", ylabel="x'")
axes[0].grid(visible=False)
every = np.array(range(1, num_points // 2))
turns = np.exp(1j * np.pi * np.outer(x + 1, every)) / num_points**0.5  # both phases at once
axes[1].plot(every, (turns.conj() * (Q @ turns)).sum(axis=0).real, "o-", markersize=4)
axes[1].set(title="What it does to a sinusoid", xscale="log", yscale="log")
axes[1].set(xlabel="frequency (cycles over the line)", ylabel="v'Qv: the larger, the sooner")
figure.suptitle(f"A ReLU network (seed {seeds[0]})")
figure.tight_layout()

# %% [markdown]
# ## Learning times, measured and predicted
#
# A time that never came counts as the last step: at least that. Three times come with each run:
# when the error fell below one half (**measured**); when the error of the *linearised* network
# does, the recursion for $r$ above run from the network's first output (**predicted, linearised
# network**); and the formula for a sinusoid on its own (**predicted, single sinusoid**), which
# would be the same if sinusoids were eigenvectors of $Q$.

# %%
errors = {
    "measured": history["error"],
    "amplitude alone": (history["amplitude"] - 1).abs(),
    "predicted, linearised network": history["predicted_error"],
}
last = history.groupby("arm")["step"].transform("max")
by = ["arm", "seed", "frequency"]
reached = history[by].copy()
for name, error in errors.items():
    reached[name] = history["step"].where(error < 0.5, last).where(error.notna())
reached["predicted, single sinusoid"] = history["rayleigh_time"]
times = reached.groupby(by, sort=False).min().reset_index()
descended = times[times["arm"].isin(descent_arms)]
descended.drop(columns="seed").groupby(["arm", "frequency"], sort=False).median().round(0)

# %% tags=["slide"]
predictions = ["predicted, linearised network", "predicted, single sinusoid"]
long = descended.melt(by, ["measured", *predictions], "time", "steps")
label = "learning time (steps)"
panels = [(long[long["arm"] == arm], "steps", arm, label) for arm in descent_arms]
title = "When each frequency is learned, and when the kernel at the start says it will be"
options = {"xlabel": "frequency (cycles over the line)", "logx": True}
axes = plots.row(panels, "frequency", "time", title=title, **options)
axes[1].sharey(axes[0])
for ax in axes:
    ax.set_yscale("log")
axes[0].get_legend().remove()
axes[0].figure.tight_layout()

# %%
scatter = descended.melt([*by, "measured"], predictions, "prediction", "steps")
marks = {"hue": "frequency", "style": "arm", "palette": "viridis", "s": 60}
grid = sns.relplot(scatter, x="steps", y="measured", col="prediction", height=4.2, **marks)
grid.set(xscale="log", yscale="log")
grid.set_axis_labels("predicted learning time (steps)", "measured learning time (steps)")
grid.set_titles("{col_name}")
count = f"one point a frequency and seed ({len(seeds)} seeds)"
grid.figure.suptitle(f"Measured against predicted, {count}", y=1.04)
for ax in grid.axes.flat:
    ax.plot([1, num_steps], [1, num_steps], color="k", lw=0.8, ls="--")

# %% [markdown]
# ## When the target has no low frequencies
#
# SIREN and WINNER on the high target, SIREN on the low target as a control: the amplitude, averaged
# over the target's frequencies.

# %%
adam = history[history["arm"].str.startswith(("SIREN", "WINNER"))]
amplitudes = adam.groupby(["arm", "seed", "step"], sort=False)["amplitude"].mean().reset_index()
labels = {"xlabel": "step", "ylabel": "amplitude (0 missing, 1 fitted)"}
labels |= {"title": "How much of the target's amplitude is there", "legend": "network and target"}
ax = plots.over_seeds(amplitudes, "step", "amplitude", "arm", marker="", **labels)
ax.set_xscale("log")

# %% [markdown]
# A network can pass through all points of a fast wave and do something else in between: nothing in
# the loss forbids it. So the last error is also taken halfway between the points, where the network
# was never trained.

# %%
final = history[history["step"] == last]
summary = final.groupby(["arm", "seed"], sort=False)[["amplitude", "error", "error_between"]].mean()
learned = times.groupby(["arm", "seed"])["measured"]
summary["learned"], summary["spread"] = learned.max(), learned.max() / learned.min()
units = {"learned": "learned (step)", "spread": "spread (last / first)"}
summary.groupby("arm", sort=False).mean().round(3).rename(columns=units)

# %% [markdown]
# ## Claims
#
# Each seed gives one number; the interval is Student's over seeds. *Learned* is the step by which
# every frequency of the target is learned, the *spread* of learning times the last over the first.
# This is a primer: everything is described, with its effect and interval, and nothing gets a
# verdict.

# %%
of_relu, summary = times[times["arm"] == "ReLU, low"], summary.reset_index()
slope = designs.over_doses("frequency", "the frequency")
tests = {
    "P1 ReLU: learning time": slope(of_relu, "measured"),
    "P1 ReLU: learning time, by the amplitude alone": slope(of_relu, "amplitude alone"),
}
for prediction in predictions:
    late = np.log(of_relu["measured"] / of_relu[prediction]).groupby(of_relu["seed"]).mean()
    effect = stats.t_test(late)
    told = designs.said(effect, "measured over predicted, in the mean over frequencies")
    tests[f"P2 ReLU: learning time against {prediction.split(', ')[1]}"] = (effect, told)

# %%
pairs = {
    "P3 Spread of learning times": ("Fourier features, low", "ReLU, low", "spread"),
    "P4 SIREN: step by which all is learned": ("SIREN, high", "SIREN, low", "learned"),
    "P5 Step by which all is learned": ("WINNER, high", "SIREN, high", "learned"),
}
for statement, (treated, control, column) in pairs.items():
    tests[statement] = designs.against("arm", treated, control)(summary, column)
finals = {
    "P4 SIREN, high target: final amplitude, beyond one half": ("SIREN, high", "amplitude"),
    "P5 WINNER, high target: final amplitude, beyond one half": ("WINNER, high", "amplitude"),
    "P5 WINNER, high target: final error between points, beyond one half": (
        "WINNER, high",
        "error_between",
    ),
}
for statement, (arm, column) in finals.items():
    effect = stats.t_test(summary.loc[summary["arm"] == arm, column] - 0.5)
    tests[statement] = (effect, designs.said(effect, "beyond 0.5", ratio=False))

# %%
# NBVAL_CHECK_OUTPUT
claimed = [claims.described(*said.split(" ", 1), *found) for said, found in sorted(tests.items())]
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
text, count = {said: found[1] for said, found in tests.items()}, of_relu["seed"].nunique()
in_order = {
    name: of_relu.sort_values([name, "measured"])
    .groupby("seed")["measured"]
    .is_monotonic_increasing.sum()
    for name in ("frequency", *predictions)
}
print(
    f"ReLU: the lower frequency is learned first throughout in {in_order['frequency']} of {count}"
)
print(f"  seeds; the learning time goes {text['P1 ReLU: learning time']}.")
for name in predictions:
    foretold = name.split(", ")[1]
    print(f"  The order that the {foretold} foretells is the measured one in {in_order[name]}.")
print(f"Spread of learning times: {text['P3 Spread of learning times']}.")
print(f"Step by which all is learned: {text['P4 SIREN: step by which all is learned']};")
print(f"  {text['P5 Step by which all is learned']}.")
ends = summary.groupby("arm")[["error", "error_between"]].mean().loc["WINNER, high"]
print(f"WINNER's last error is {ends.iloc[0]:.2g} at the points, {ends.iloc[1]:.2g} between them.")

# %% [markdown]
# ## What to make of it
#
# **ReLU.** Nothing in the loss asks for an order: all sinusoids have the same amplitude, and all
# points are in every step.
#
# **The kernel.** Both predictions are made before the first step. $v^\top Q v$ is an average of
# eigenvalues, which one large eigenvalue can dominate, while what is left to be learned of a
# sinusoid is the part along the small ones: where sinusoids are no eigenvectors of a kernel, as on
# a line with two ends, this formula tends to be too early. The linearised network keeps all
# eigenvectors apart. What still separates it from the measurement is that the real kernel moves
# while the network trains. (The rows P2 say by how much each is off here.)

# %% [markdown]
# **Fourier features.** With $[\cos, \sin](2\pi B x)$ as input, the kernel depends on little more
# than the distance of two points, and $\sigma$ sets how fast it falls off with distance, so how
# evenly its eigenvalues are spread over frequencies. The bias is not a law of gradient descent: it
# is a property of a network's kernel, and can be designed.
#
# **SIREN and WINNER.** Whether a target is *missed* depends on when one looks: a network that waits
# on a plateau and one that never learns look the same until the plateau ends. So the rows P4 and P5
# ask for the final amplitude, and for *how much later* all is learned; a target that is not learned
# by the last step counts as learned there, so that a delay may be longer than it says. Exercise 2
# asks what sets its length. And noise that lets a network reach high frequencies also lets it
# wiggle between the points: read WINNER's rows together, exercise 3.
#
# From here on the line becomes a path between two images and the sinusoid a wave in the labels. The
# points are then few and far apart, and no kernel is computed: the following notebooks measure
# instead.

# %% [markdown]
# ## Exercises
#
# Exercise 0.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 0.2 (implement)
#
# Write the two measures of this notebook: $\text{amplitude}_k = |F_k| / |Y_k|$ and $\text{error}_k
# = |F_k - Y_k| / |Y_k|$. The check holds a sinusoid of the right size at the wrong place, where
# they differ.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# On equally spaced points over whole cycles, `np.fft.rfft(values)[k]` is the part of `values` with
# $k$ cycles.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def amplitude_and_error(output, target, cycles):
    """|F| / |Y| and |F - Y| / |Y| at a whole number of cycles; output, target: (points,)."""
    # transform both, take one bin of each: complex numbers, whose difference has a phase too
    ### BEGIN SOLUTION
    of_output, of_target = (np.fft.rfft(values)[cycles] for values in (output, target))
    return abs(of_output) / abs(of_target), abs(of_output - of_target) / abs(of_target)
    ### END SOLUTION


# %% tags=["check"]
turns = 2 * np.pi * np.arange(64) / 64
both_waves = np.sin(3 * turns) + np.sin(9 * turns)
found = amplitude_and_error(both_waves, both_waves, 3)
assert np.allclose(found, (1, 0)), f"the target itself has amplitude 1 and error 0, not {found}"
found = amplitude_and_error(np.sin(3 * turns), both_waves, 9)
assert np.allclose(found, (0, 1)), f"a missing sinusoid: amplitude 0 and error 1, not {found}"
found = amplitude_and_error(np.cos(3 * turns), both_waves, 3)
assert np.allclose(found, (1, 2**0.5)), f"a quarter of a cycle late: 1 and 1.41, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 0.3 (vary)
#
# $\sigma$ sets the range of frequencies that Fourier features offer. Make it eight times smaller
# and eight times larger. What happens to the learning times, and what happens between the points?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Copy the arm "Fourier features, low" with another `sigma`, and read `error_between` at the last
# step.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
arm = arms["Fourier features, low"]
scales = [{**arm, "sigma": sigma * factor} for factor in (1 / 8, 1, 8)]
extra = runs.sweep([OneDimensionalConfig(**scale, seed=seeds[0]) for scale in scales], device)
answer = pd.concat([run.history for run in extra], ignore_index=True)
at_end = answer[answer["step"] == num_steps].groupby("sigma")[["error", "error_between"]].max()
answer["learned"] = answer["step"].where(answer["error"] < 0.5, num_steps)
learned = answer.groupby(["sigma", "frequency"])["learned"].min().groupby("sigma")
at_end["first learned"], at_end["last learned"] = learned.min(), learned.max()
at_end.round(2)

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# A small $\sigma$ offers slow features only: the kernel falls off slowly with distance, fast
# sinusoids lie along small eigenvalues, and the order of a plain network comes back. A large one
# spreads the eigenvalues over more frequencies than the points resolve: the learning times draw
# together, and the network may do anything *between* the points, since nothing in the loss speaks
# of them. The two ends are the two ways to be wrong: biased towards slow, and free to be fast.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 0.4 (vary)
#
# Move SIREN's target of high frequencies down towards zero, its spacing unchanged. How does the
# step by which it is learned depend on frequency? (A network that has not learned it by the end
# shows the last step.)

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Take the same number of cycles away from each of `high`, and train the arm "SIREN, high" on each.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
shifts = [min(high) * part // 6 for part in (5, 4, 2, 0)]
targets = [tuple(k - shift for k in high) for shift in shifts]
moved = [{**arms["SIREN, high"], "frequencies": target} for target in targets]
extra = runs.sweep([OneDimensionalConfig(**arm, seed=seeds[0]) for arm in moved], device)
for target, run in zip(targets, extra, strict=True):
    worst = run.history.groupby("step")["error"].max()
    learned = worst.index[worst < 0.5]
    print(f"{target}: learned by step {min(learned, default=num_siren_steps)}")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The first layer's factor of 30 sets a band of frequencies that SIREN offers from the start. Within
# and near it a target is learned at once; beyond it the weights have first to grow, and the plateau
# lengthens with the distance. So SIREN has a bias too, towards its own band instead of towards
# zero. "Fails" and "is late" are told apart only by training on.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 0.5 (think)
#
# WINNER adds noise to the weights. Give its first layer ten times the noise: what would you expect
# of the error at the points, and of that between them? Say why before you run it, and which of the
# two a *test* error is like.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# Noise in the first layer is a wider band of frequencies to choose from. Which functions pass
# through all points?
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
noisier = [{**arms["WINNER, high"], "first_noise": first_noise * factor} for factor in (1, 10)]
extra = runs.sweep([OneDimensionalConfig(**arm, seed=seeds[0]) for arm in noisier], device)
for factor, run in zip((1, 10), extra, strict=True):
    end = run.history.tail(len(high))[["error", "error_between"]].mean()
    at, between = end["error"], end["error_between"]
    print(f"noise x {factor}: error {at:.2f} at the points, {between:.2f} between them")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# With more noise every frequency is on offer, so the points are fitted whatever the target is: the
# error at the points says little. But many functions of high frequency pass through the same
# points, and the one that is found is nearest to the noisy start, not to the target: the error
# between the points grows. That one is like a test error. A bias that suits the target, towards low
# frequencies where the target is slow, is what makes a network guess well between its data; without
# one, fitting is easy and means nothing.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals())
