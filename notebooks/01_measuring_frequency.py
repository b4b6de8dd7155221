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
# # How is the frequency of a network's function measured, and how is it not?
#
# > **You will be able to** turn two images and a network into one number, by hand; say why the
# > published number hardly sees frequency, and what replaces it; test any measure on curves whose
# > answer is known.
# >
# > **You need** NumPy, the discrete Fourier transform, least squares.
# >
# > **Takes** half a minute with digits on two cores, less where its networks are in the store.
# > **Level**: core.
# >
# > **Words**: [nu](glossary.md#nu), [HFF](glossary.md#hff), [leakage](glossary.md#leakage),
# > [Nyquist](glossary.md#nyquist), [band-limited](glossary.md#band-limited), [prolate
# > sequences](glossary.md#prolate-sequences), [power out of band](glossary.md#power-out-of-band),
# > [floor](glossary.md#floor), [confidence interval](glossary.md#confidence-interval); all of them,
# > and the [columns of tables](glossary.md#columns-of-tables), in the [glossary](glossary.md).

# %% [markdown]
# **What the paper reports.** Walk in a straight line from one test image to another and watch the
# network's softmax $p(t)$ at points $t = 0, \Delta, 2\Delta, \dots$ ($\Delta$ in nu: one nu is one
# unit of L2 norm in normalised pixels). The published summary of a path is the high-frequency
# fraction of its discrete Fourier transform $\hat p(k)$ with $K$ bins; the paper has none, its
# first author gave this one in *Models Out of Line* (NeurIPS 2022):
#
# $$\text{HFF} = \frac{\sum_{k = \lceil K/10 \rceil}^{K-2} M(k)}{\sum_{k = 0}^{K-1} M(k)}, \qquad
#   M(k) = \operatorname{mean}_c |\hat p_c(k)| .$$
#
# **What is asked here.** Does a number like that see frequency? An instrument is tried on curves
# whose answer is known, then on networks. The one that this study builds is the **power out of
# band**: what no function without frequencies above a cutoff $f_c$ explains. With the outputs
# $u$ of a path's $N$ points, one column a class, and an orthonormal basis $V$ of such functions,
#
# $$E(f_c) = \frac{1}{N} \sum_{t, c} r_c(t)^2 , \qquad r = u - V V^{\top} u ,$$
#
# in the output's unit squared; its **share** is $E$ over the variance of $u$ along the path.

# %%
import copy
import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import scipy.signal
import scipy.stats
import torch

from lib import data, measure, plots, resampling, runs
from lib.parameters import check_typed
from lib.training import TrainingConfig
from notebooks import conditions, live, touch
from notebooks.by_hand import same
from study import claims, designs, provenance, verdicts

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
dataset: str = "digits"  # name: digits, cifar10, cifar100, svhn or npz:PATH
model: str = "mlp-3-128"  # name: of a network, see lib.models
architectures: list[str] = ["mlp-3-128", "cnn-8", "resnet8-8"]  # name: of networks, for precision
seeds: list[int] = [0, 1, 2, 3, 4]  # seed: one replication each
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
claimed = []

# %% [markdown]
# ## The experiment
#
# One network a seed, the baseline of the later notebooks; and for the section on precision one of
# each architecture.

# %%
configs = [TrainingConfig(**common, seed=seed) for seed in seeds]
by_architecture = conditions.by_family(common, architectures, seeds[:1])
rows = [("all but precision", model, len(seeds))]
rows += [("precision", name, 1) for name in architectures]
pd.DataFrame(rows, columns=["section", "network", "seeds"]).assign(epochs=num_epochs)

# %%
every = [*configs, *by_architecture.values()]
trained = runs.sweep(every, device)
run_of = dict(zip(every, trained, strict=True))

# %% [markdown]
# Each network is measured along paths of its seed's own drawing. Paths whose two ends it classifies
# correctly are *matched*: where several networks are compared, all of them have to.

# %%
summary = measure.sweep(configs, protocol, device)
print(measure.matched_counts(summary))
every_path = pd.concat(
    [
        measure.read_measurement(run_of[one], num_epochs, protocol).paths.assign(seed=one.seed)
        for one in configs
    ],
    ignore_index=True,
)

# %% [markdown]
# ## First principles: from two images to one number
#
# Before any library, the measure by hand: each step is a few lines of NumPy, and the line beneath
# each step says whether `lib`, which all later notebooks call, computes the same.
#
# **Two images.** Of all matched paths of the first network between classes we take the one whose
# power out of band is the median. Pixels are normalised by the mean and standard deviation of the
# training images. The L2 distance between the two images is the path's length; its unit is one nu.


# %%
def final_network(config):
    """What a run has trained, in eval mode on the CPU."""
    network = config.build()
    network.load_state_dict(run_of[config].weights(config.num_epochs))
    return network.eval()


test = data.load(dataset, num_test)
first = every_path[(every_path["seed"] == seeds[0]) & (every_path["kind"] == "between")]
first = first[first["correct"] == first["correct"].max()]  # all, where none is matched
ranked = first.sort_values(measure.PRIMARY)
pair = ranked.iloc[len(ranked) // 2][["a", "b"]].astype(int).tolist()

# %%
pixels = test.x_test[pair].double().numpy()  # (2, channels, height, width)
mean, std = (values.double().numpy()[:, None, None] for values in (test.mean, test.std))
x0, x1 = (pixels - mean) / std
length = np.linalg.norm(x1 - x0)
joined = measure.join(test, [pair], spacing)
same("length of the path (nu)", length, joined.distances[0])

# %% [markdown]
# **The points between them.** Every `spacing` nu one image, a little more of the end and a little
# less of the start.

# %%
t = np.arange(0, length, spacing)  # nu, along the path
points = x0 + (t / length)[:, None, None, None] * (x1 - x0)
same("points of the path", len(t), joined.points[0])

# %% [markdown]
# **p(t) under them.** The network turns each point into logits $z$, one a class, and the softmax
# $p_c = e^{z_c} / \sum_j e^{z_j}$ turns these into probabilities. (The network computes in single
# precision, so the two agree to about six digits.)

# %%
with torch.inference_mode():
    z = final_network(configs[0])(torch.from_numpy(points).float()).double().numpy()
p = np.exp(z - z.max(axis=1, keepdims=True))  # the same softmax, and no overflow
p = p / p.sum(axis=1, keepdims=True)

forward = measure.Forward(final_network(configs[0]), test, device)
((_, logits),) = measure.outputs_along(forward, joined)
same("p(t) of all classes", p, logits[0].double().softmax(-1).cpu(), within=1e-4)

# %%
strip = pixels[0] + np.linspace(0, 1, 7)[:, None, None, None] * (pixels[1] - pixels[0])
strip = np.concatenate(list(strip / pixels.max()), axis=2).transpose(1, 2, 0)
figure, axes = plots.plt.subplots(2, 1, figsize=(8, 5), height_ratios=[1, 2])
axes[0].imshow(strip, cmap="gray")
axes[0].set_title(f"From one image to another, {length:.3g} nu")
axes[0].axis("off")
shown = np.sort(np.argsort(p.max(0))[-4:])  # the classes that are most likely anywhere
for class_ in shown:
    axes[1].plot(t, p[:, class_], color=f"C{class_}", label=f"class {class_}")
axes[1].set(xlabel="t, along the path (nu)", ylabel="softmax p(t)")
axes[1].legend(fontsize="small")
figure.tight_layout()

# %% [markdown]
# **Its HFF**, the published number: the sizes of the Fourier coefficients, a mean over classes, and
# the share of them in the upper nine tenths of the bins (without the last).

# %%
M = np.abs(np.fft.rfft(p, axis=0)).mean(axis=1)
K = len(M)
lowest = math.ceil(K / 10)
hff = M[lowest : K - 1].sum() / M.sum()
same("HFF", hff, measure.high_frequency_fraction(torch.from_numpy(p)[None])[0])

# %%
counted = (np.arange(K) >= lowest) & (np.arange(K) < K - 1)
ax = plots.plt.subplots()[1]
ax.vlines(range(K), M.min() / 2, M, colors=np.where(counted, "C1", "C0"), lw=3)
ax.set(title=f"M(k): the orange ones over all are HFF = {hff:.2f}", yscale="log")
ax.set(xlabel="bin k", ylabel="M(k), mean over classes")
ax.figure.tight_layout()

# %% [markdown]
# **Its power out of band.** What can a function without frequencies above $f_c$ be on an
# interval? Of all spaces of their number of dimensions, the discrete prolate spheroidal sequences
# span it best (Slepian 1978): $2 N \Delta f_c$ of them are the band itself, two more its edge. A
# constant and a line are added, which have no frequency at all. So that is $V$. A least-squares fit
# by its columns, $V V^\top p$, is the part of the curve in the band; what it leaves is the
# residual, and $E$ is the residual's mean square.


# %%
def band(points, turns):
    """Orthonormal columns (points, columns) for a cutoff of `turns` cycles a spacing."""
    number = math.ceil(2 * points * turns - 1e-9) + 2
    prolate = scipy.signal.windows.dpss(points, points * turns, number)
    columns = [np.ones(points), np.linspace(-1, 1, points), *prolate]
    return np.linalg.qr(np.stack(columns, axis=1))[0]


v = band(len(p), cutoff * spacing)
residual = p - v @ (v.T @ p)
power = (residual**2).sum() / len(p)
same("E", power, measure.out_of_band_power(torch.from_numpy(p)[None], spacing, cutoff)[0])

# %%
share = power / p.var(axis=0).sum()
same("its share", share, measure.out_of_band_share(torch.from_numpy(p)[None], spacing, cutoff)[0])

# %% [markdown]
# **Its floor.** A cubic has no high frequency, so $E$ of the path's own cubic fit is what the
# measure would give of nothing.

# %%
cubic = np.stack([np.polyval(np.polyfit(t, one, 3), t) for one in p.T], axis=1)
floor = ((cubic - v @ (v.T @ cubic)) ** 2).sum() / len(p)
same("floor", floor, measure.floor(torch.from_numpy(p)[None], spacing, [cutoff])[0, 0], within=1e-4)

# %% tags=["slide"]
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for class_ in shown:
    axes[0].plot(t, p[:, class_], color=f"C{class_}")
    axes[0].plot(t, v @ (v.T @ p[:, class_]), "k:", lw=2)
    axes[1].plot(t, residual[:, class_], color=f"C{class_}", label=f"class {class_}")
axes[0].set(title=f"p(t); dotted: its part below {cutoff:g} cycles/nu", ylabel="softmax")
axes[1].set(title=f"What is left: of all classes, E = {power:.2g}", ylabel="residual")
axes[1].legend(fontsize="small")
for ax in axes:
    ax.set_xlabel("t, along the path (nu)")
figure.tight_layout()

# %% [markdown]
# ## 1. Curves whose answer is known
#
# A path ends elsewhere than it began, and a Fourier transform takes it for one period of a periodic
# signal. Two remedies that look right stand beside HFF here, **as what not to do**: subtract the
# line through the two ends, or multiply by a Hann window; then take the share of the power in bins
# at or above the cutoff.


# %%
def share_of_bins(outputs, turns):
    """The share of Fourier power, without DC, at or above `turns` cycles a point: (paths,)."""
    power = torch.fft.rfft(outputs, dim=1).abs().square().sum(2)[:, 1:]
    high = torch.fft.rfftfreq(outputs.shape[1], dtype=torch.float64)[1:] >= turns - 1e-12
    total = power.sum(1)  # about 0, as of a ramp less its line: no share, only rounding
    return torch.where(total > 1e-24, (power * high).sum(1) / total, torch.nan)


def line_detrended(outputs):
    along = torch.linspace(0, 1, outputs.shape[1], dtype=torch.float64)[:, None]
    return outputs - outputs[:, :1] - along * (outputs[:, -1:] - outputs[:, :1])


def hann_windowed(outputs):
    window = torch.hann_window(outputs.shape[1], periodic=False, dtype=torch.float64)[:, None]
    return (outputs - outputs.mean(1, keepdim=True)) * window


# %% [markdown]
# The four measures of any curves, and $E$:

# %%
HFF, LINE, HANN, SHARE = "published HFF", "line-detrended share", "Hann share", "share out of band"
COLOURS = dict(zip((HFF, LINE, HANN, SHARE), plots.sns.color_palette(plots.PALETTE), strict=False))


@runs.single_thread()  # of many small tables: threads would wait for each other
def all_measures(outputs, turns):
    """A row a path of outputs (paths, points, classes); turns: the cutoff, cycles a point."""
    columns = {
        HFF: measure.high_frequency_fraction(outputs),
        LINE: share_of_bins(line_detrended(outputs), turns),
        HANN: share_of_bins(hann_windowed(outputs), turns),
        SHARE: measure.out_of_band_share(outputs, 1.0, turns),
        "E": measure.out_of_band_power(outputs, 1.0, turns),
    }
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()})


# %% [markdown]
# Sixty points, one nu apart: logistic curves of four slopes, a parabola and a cubic, which have no
# high frequency, and a step, which has every one. Cutoffs of .05 and .1 cycles/nu:

# %%
place = torch.arange(60, dtype=torch.float64)
slopes, s = [0.2, 0.5, 1.0, 2.0], place / 59
known = {f"logistic, slope {slope:g}": torch.sigmoid(slope * (place - 29.5)) for slope in slopes}
known |= {"parabola": s**2, "cubic": s**3 - s, "step": (place >= 30).double()}
curves = torch.stack(list(known.values()))[..., None]
at = {border: all_measures(curves, border).set_index(pd.Index(known)) for border in (0.05, 0.1)}
table = at[0.05].drop(columns="E").join(at[0.1][SHARE].rename(f"{SHARE}, .1"))

# %% [markdown] tags=["exercise", "slide"]
# ### Exercise 1.1 (predict)
#
# A logistic curve becomes ten times steeper. Which of the four measures will see it, and by about
# what factor: HFF, the line-detrended share, the Hann share, the share out of band? Predict the
# four curves before you run the next cells.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# A Fourier transform takes the path for one period of a periodic signal. How large is the jump from
# its end back to its start, at each slope?
#
# </details>

# %% [markdown] tags=["answer"]
# <details><summary>Answer, for after the figure</summary>
#
# HFF hardly moves: at every slope the path ends elsewhere than it began, and the jump from end to
# start, the same for all, makes nearly all of what it counts. The line-detrended share loses the
# jump, and sees the steepness as the Hann share does, over a hundredfold: what is wrong with these
# two, a kink at the ends and a wide main lobe, comes in sections 2 and 3. The share out of band
# moves most, since so little of a gentle curve leaks into it. The lesson is not which is larger but
# which one *follows* the thing that was changed, and how far down.
#
# </details>

# %%
# NBVAL_CHECK_OUTPUT
print(table.map("{:.2g}".format).to_string())

# %% tags=["slide"]
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for name in ("logistic, slope 0.2", "logistic, slope 2", "parabola", "cubic", "step"):
    axes[0].plot(place, known[name], label=name)
axes[0].set(title="Curves", xlabel="position along the path (nu)", ylabel="output")
axes[0].legend(fontsize="small")
for name, colour in COLOURS.items():
    axes[1].plot(slopes, at[0.05][name][:4], "o-", color=colour, label=name)
axes[1].set(xscale="log", yscale="log", xlabel="slope of the logistic (1/nu)", ylabel="measure")
axes[1].set_title("A tenfold slope, measured four ways")
axes[1].set_xticks(slopes, slopes)
axes[1].minorticks_off()
axes[1].legend(fontsize="small")
figure.tight_layout()

# %% [markdown]
# The same to touch, for any slope in between: where scripts run, the slider makes the logistic
# steeper. What HFF does with it, and what the power out of band does, is beside or beneath it.

# %%
steps = np.geomspace(0.1, 4, 60)  # slopes, 1/nu
smooth = torch.sigmoid(torch.tensor(steps)[:, None] * (place - 29.5))[..., None]
of_slopes, v = all_measures(smooth, 0.05), band(60, 0.05)
smooth = smooth[..., 0].numpy()
inside = smooth @ v @ v.T  # the part below the cutoff


def followed(name, label, ylim, logy=False):
    """A panel: a measure against the slope, and where the slider is."""
    line = touch.Curve(steps, of_slopes[name], "", COLOURS.get(name, "C4"))
    dot = touch.Curve(steps[:, None], of_slopes[[name]], label, COLOURS.get(name, "C4"), "o")
    axes = "slope (1/nu)", name, (steps[0], steps[-1]), ylim
    return touch.Panel(label, *axes, [line, dot], logx=True, logy=logy)


# %%
curve = touch.Curve(place, smooth, "the logistic", "C0")
below = touch.Curve(place, inside, "its part below .05 cycles/nu", "0.2", ":")
panels = [
    touch.Panel("A curve", "position (nu)", "output", (0, 59), (-0.2, 1.2), [curve, below]),
    followed(HFF, "HFF: stays", (0, 0.5)),
    followed("E", "Power out of band: follows", (1e-10, 1e-1), logy=True),
]
told = [
    f"slope {slope:.2g}/nu; HFF {hff:.3f}; E {power:.2g}"
    for slope, hff, power in zip(steps, of_slopes[HFF], of_slopes["E"], strict=True)
]
touch.slider(panels, "slope of the logistic", told, start=20)

# %% [markdown]
# With a kernel, at any cutoff too, and where the transition is not in the middle of its path:


# %%
def transition(slope, cutoff, place_of_it):
    """A logistic, the part of it below the cutoff, and its measures among those of other slopes."""
    smooth = torch.sigmoid(torch.tensor([slope, *steps])[:, None] * (place - 59 * place_of_it))
    measures, v = all_measures(smooth[..., None], cutoff), band(60, cutoff)
    one, axes = smooth[0].numpy(), ("slope (1/nu)", "measure", (steps[0], steps[-1]))
    curves = [
        touch.Curve(place, one, "the logistic", "C0"),
        touch.Curve(place, one @ v @ v.T, f"its part below {cutoff:.3g} cycles/nu", "0.2", ":"),
    ]
    panels = [touch.Panel("A curve", "position (nu)", "output", (0, 59), (-0.2, 1.2), curves)]
    for name, limits in ((HFF, (0, 0.5)), ("E", (1e-10, 1e-1))):
        line = touch.Curve(steps, measures[name][1:], "", COLOURS.get(name, "C4"))
        dot = touch.Curve([slope], measures[name][:1], name, COLOURS.get(name, "C4"), "o")
        panels.append(touch.Panel(name, *axes, limits, [line, dot], logx=True, logy=name == "E"))
    return panels


borders, places = np.geomspace(0.0125, 0.2, 17), np.linspace(0.1, 0.9, 17)
live.live(transition, slope=steps, cutoff=borders, place_of_it=places)

# %%
logistic = at[0.05].iloc[:4]
spans = logistic.max() / logistic.min()
said = "of the four logistics, largest over smallest"
claimed += [
    claims.exact("M1", f"{HFF} {said}", spans[HFF], "< 1.1"),
    claims.exact("M1", f"{SHARE} {said}", spans[SHARE], "> 1000", 0),
    claims.exact("M1", f"{SHARE} of the step", at[0.05].loc["step", SHARE], "> 0.05", 4),
]

# %% [markdown]
# **What HFF counts.** Were HFF the same for any transition and 0 without one, then within a class
# it would be the share of paths on which there is one. How near is it to that? Its histogram over
# all paths within classes, by whether both ends are classified correctly, and what part of its sum
# lies on paths whose class changes on the way:

# %%
ends = np.where(every_path["correct"], "both right", "one wrong or both")
every_path = every_path.assign(ends=ends, changing=every_path["changes"] > 0)
inside = every_path[every_path["kind"] == "within"]
bars = {
    "hue": "ends",
    "hue_order": ["both right", "one wrong or both"],
    "bins": 40,
    "element": "step",
    "palette": plots.PALETTE,
}
ax = plots.sns.histplot(inside, x="hff", **bars)
title = f"HFF within classes ({len(inside)} paths, {len(seeds)} seeds)"
ax.set(title=title, xlabel="published HFF", ylabel="paths (log scale)", yscale="log")
plots.plt.show()
groups = inside.groupby(["ends", "changing"])["hff"].agg(["mean", "count", "sum"])
groups["part of the sum"] = groups.pop("sum") / inside["hff"].sum()
groups.rename_axis(["ends", "the class changes"]).round(3)

# %%
by_ends = inside.groupby(["seed", "ends"], as_index=False)["hff"].mean()
against = designs.against("ends", "one wrong or both", "both right")
found = against(by_ends, "hff")
claimed.append(claims.described("M1", "HFF within classes, where an end is wrong", *found))

# %% [markdown]
# ## 2. The parabola, and the floor
#
# Subtracting a line leaves a kink where the end meets the start, and the power of a kink falls only
# as $k^{-4}$. So a parabola, without any high frequency, has a line-detrended share. Is that of
# trained networks more? Beside it stand the same measures of each path's own **cubic fit**, and of
# a parabola of the path's length, over matched paths (at a quarter of the spacing, for section 4;
# here every fourth point).

# %%
FEW = 30  # paths a kind and seed, matched ones first
few = every_path.sort_values("correct", ascending=False, kind="stable")
few = few.groupby(["seed", "kind"]).head(FEW)
along = {}
for config in configs:
    forward = measure.Forward(final_network(config), test, device)
    for kind in measure.KINDS:
        mine = few[(few["seed"] == config.seed) & (few["kind"] == kind)]
        joined = measure.join(test, mine[["a", "b"]].to_numpy(copy=True), spacing / 4)
        outputs = measure.outputs_along(forward, joined)
        along[config.seed, kind] = [out.double().softmax(-1).cpu() for _, out in outputs]


# %%
@runs.single_thread()
def beside_its_cubic(network):
    """Of outputs (paths, points, classes): theirs, of their cubic fits and of as many parabolas."""
    place = torch.linspace(-1, 1, network.shape[1], dtype=torch.float64)
    q = torch.linalg.qr(place[:, None] ** torch.arange(4))[0]
    parabola = (place**2).expand(len(network), -1)[..., None]
    functions = {"the network": network, "its cubic fit": q @ (q.T @ network)}
    return functions | {"a parabola": parabola}


rows = []
for (seed, kind), blocks in along.items():
    for block in blocks:
        for name, function in beside_its_cubic(block[:, ::4]).items():
            about = {"function": name, "seed": seed, "kind": kind, "points": function.shape[1]}
            rows.append(all_measures(function, cutoff * spacing).assign(**about))
by_path = pd.concat(rows)
shares = by_path.groupby(["seed", "kind", "function"], as_index=False).mean()

# %%
names = ["a parabola", "its cubic fit", "the network"]
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for ax, column in zip(axes, (LINE, SHARE), strict=True):
    options = {"order": names, "hue": "kind", "palette": plots.KIND_COLOURS, "dodge": 0.3}
    options |= {"errorbar": ("pi", 100), "linestyle": "none", "ax": ax}
    plots.sns.pointplot(shares, x="function", y=column, **options)
    ax.set(title=column, ylabel=f"share above {cutoff:g} cycles/nu", yscale="log")
    ax.set_xlabel(f"(mean and range over {len(seeds)} seeds)")
    ax.get_legend().remove()
axes[1].legend(title="path", fontsize="small")
counts = few.groupby(["kind", "seed"])["correct"].agg(["sum", "size"]).groupby("kind").min()
said = ", ".join(f"{row['sum']} of {row['size']} {kind}" for kind, row in counts.iterrows())
figure.suptitle(f"Paths a seed, of them matched: {said} (least over seeds)", fontsize="medium")
figure.tight_layout()

# %%
parabola, against = at[0.05].loc["parabola"], designs.against("function", names[2], names[1])
claimed += [
    claims.exact("M2", f"{LINE} of a parabola, 60 points", parabola[LINE], "> 0.001", 4),
    claims.exact("M2", f"{SHARE} of a parabola, 60 points", parabola[SHARE], "< 0.00001", 6),
]
for column in (LINE, SHARE):
    for kind in measure.KINDS:
        found = against(shares[shares["kind"] == kind], column)
        claimed.append(claims.described("M2", f"{column} above its cubic fit's, {kind}", *found))

# %% [markdown]
# $E$ has such a floor, too: $E$ of the path's cubic fit. It is drawn in every figure of power, and
# a value less than 10 times above it takes part in no verdict. As a function of the cutoff $E$ is
# the **power above f**, the spectrum that the later notebooks draw. The table says how often the
# power of the network nearest its floor holds it, by f (cycles/nu):

# %%
spectra = measure.spectra(summary, cutoff)
plots.power_above(spectra, "model", legend="network", note=measure.matched_counts(summary))
plots.plt.show()
spectra["E over floor"] = spectra["power"] / spectra["floor"]
spectra["f"] = spectra["frequency"].map("{:.3g}".format)
spectra.pivot_table(
    index=["output", "kind"], columns="f", values="E over floor", aggfunc="min"
).map("{:.3g}".format)

# %%
values = {"E": measure.PRIMARY, "its floor": measure.PRIMARY.replace("power", "floor")}
against = designs.against("of", *values)
for kind in measure.KINDS:
    own = summary[summary["kind"] == kind]
    both = [own[["seed"]].assign(of=name, value=own[column]) for name, column in values.items()]
    found = against(pd.concat(both), "value")
    claimed.append(claims.described("M2", f"power out of band above its floor, {kind}", *found))

# %% [markdown]
# ## 3. The transfer function
#
# A sine of frequency $f$ should score 0 below the cutoff and 1 above it, **at any phase**. Here are
# the least and the most over 64 phases, on 60 points with $f_c = .05$ cycles/nu. (HFF knows no
# cutoff: on 60 points its own border lies at bin 4, which is 1.33 times this one.)

# %%
border = 0.05
multiples = np.unique([*np.linspace(0.3, 3, 55).round(3), 0.8, 1.25])
phases = torch.arange(64, dtype=torch.float64) * 2 * torch.pi / 64
rows = []
for multiple in multiples:
    sines = torch.sin(2 * torch.pi * multiple * border * place + phases[:, None])[..., None]
    rows.append(all_measures(sines, border).agg(["min", "max"]).stack())
transfer = pd.DataFrame(rows, index=multiples)
transfer.loc[[0.5, 0.8, 1.0, 1.25, 1.5, 2.0]].map("{:.2g}".format)

# %% tags=["slide"]
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4), sharex=True)
for ax, scale in zip(axes, ("linear", "log"), strict=True):
    for name in (HFF, LINE, SHARE):
        band_of = {"color": COLOURS[name], "alpha": 0.5, "label": name}
        low, high = (transfer[end, name] for end in ("min", "max"))
        ax.fill_between(multiples, low, high, **band_of)
    ax.axvline(1, color="k", ls="--", lw=1)
    ax.set(xlabel="f / cutoff", ylabel="measure", yscale=scale, title=f"{scale} scale")
axes[1].set_ylim(1e-8, 2)
axes[0].legend(fontsize="small")
figure.suptitle("A sine of growing frequency: least to most over phases")
figure.tight_layout()

# %%
least, most = transfer["min"], transfer["max"]
claimed += [
    claims.exact("M3", f"{SHARE}, most at .8 cutoffs", most.loc[0.8, SHARE], "< 0.0001", 5),
    claims.exact("M3", f"{SHARE}, least at 1.5 cutoffs", least.loc[1.5, SHARE], "> 0.6", 2),
    claims.exact("M3", f"{SHARE}, least at 2 cutoffs", least.loc[2.0, SHARE], "> 0.8", 2),
    claims.exact("M3", f"{LINE}, most at .8 cutoffs", most.loc[0.8, LINE], "> 0.05", 2),
    claims.exact("M3", f"{HFF}, most at .8 cutoffs", most.loc[0.8, HFF], "> 0.3", 2),
]

# %% [markdown]
# ## 4. Aliasing, length and precision
#
# A ReLU network has no highest frequency, so every spacing aliases something. Quarter it, and see
# what moves. HFF's border is a tenth of *whatever the highest frequency is*, and moves with the
# spacing. The cutoff of $E$ does not move with it, so what $E$ moves by bounds its aliasing (power
# from above the highest frequency that the spacing resolves) from above: the ends of the sampled
# interval move a little, too. (Half of the paths of the last section.)


# %%
@runs.single_thread()
def at_spacing(outputs, step):
    columns = {"hff": measure.high_frequency_fraction(outputs), "spacing": step}
    return pd.DataFrame(columns | {"E": measure.out_of_band_power(outputs, step, cutoff)})


rows = []
for (seed, kind), blocks in along.items():
    for block, every in itertools.product(blocks[::2], (1, 2, 4)):
        part = at_spacing(block[:, ::every], spacing * every / 4)
        rows.append(part.assign(seed=seed, kind=kind))
refined = pd.concat(rows).groupby(["seed", "kind", "spacing"]).mean()
relative = refined / refined.xs(spacing, level="spacing")
for kind, moved in (
    (relative.xs(spacing / 4, level="spacing") - 1).groupby("kind").mean().iterrows()
):
    least = "E" if abs(moved["E"]) < abs(moved["hff"]) else "HFF"
    print(
        f"{kind} classes, a quarter of the spacing moves HFF by {moved['hff']:+.1%} and E by",
        end=" ",
    )
    print(f"{moved['E']:+.1%}: {least} moves less")
relative.groupby(["kind", "spacing"]).mean().round(4)

# %%
table, ylabel = relative.reset_index(), "relative to the usual spacing"
panels = [(table, name, title, ylabel) for name, title in (("hff", HFF), ("E", "E"))]
labels = {"xlabel": "spacing (nu)", "legend": "path", "title": "What a narrower spacing moves"}
axes = plots.row(panels, "spacing", "kind", logx=True, **labels)
axes[1].sharey(axes[0])
axes[0].autoscale(axis="y")
plots.plt.show()
grids = {spacing / 4: "a quarter of the spacing", spacing: "all of it"}
grids = refined.reset_index().assign(grid=lambda table: table["spacing"].map(grids))
against = designs.against("grid", "a quarter of the spacing", "all of it")
for name, words in (("hff", HFF), ("E", "E")):
    for kind in measure.KINDS:
        found = against(grids[grids["kind"] == kind], name)
        claimed.append(claims.described("M4", f"{words}, spacing quartered, {kind}", *found))

# %% [markdown]
# **Length.** Paths between other images are longer or shorter. The same logistic, of slope 1, in
# the middle of paths of 45 to 110 points, 1 nu apart. (A basis has whole columns: hence the teeth.)

# %%
lengths, rows = range(45, 111), []
for points in lengths:
    middle = torch.arange(points, dtype=torch.float64) - (points - 1) / 2
    curve = torch.sigmoid(middle)[None, :, None]
    rows.append(all_measures(curve, 0.05).iloc[0])
longer = pd.DataFrame(rows, index=pd.Index(lengths, name="points"))
longer.loc[[45, 60, 80, 110]].map("{:.3g}".format)

# %%
to_mean = longer / longer.mean()
figure, ax = plots.plt.subplots()
for name, colour in COLOURS.items():
    ax.plot(lengths, to_mean[name], color=colour, label=name)
ax.plot(lengths, to_mean["E"], "k--", label="E")
ax.set(title="One transition in paths of several lengths", xlabel="points, 1 nu apart")
ax.set_ylabel("measure / its mean over lengths")
ax.legend(fontsize="small")
figure.tight_layout()
spread = longer.max() / longer.min()
said = "of one logistic in 45 to 110 points, largest over smallest"
claimed += [
    claims.exact("M4", f"{SHARE} {said}", spread[SHARE], "< 2", 2),
    claims.exact("M4", f"E {said}", spread["E"], "< 2", 2),
    claims.exact("M4", f"{LINE} {said}", spread[LINE], "> 2", 2),
]
apart = (to_mean - 1).abs()
for name in (SHARE, "E", LINE):
    outside = ", ".join(map(str, apart.index[apart[name] >= 0.25])) or "none"
    print(f"{name}: within a quarter of its mean at {(apart[name] < 0.25).mean():.0%} of lengths;")
    print(f"  at most {apart[name].max():.0%} off; by a quarter or more at: {outside}")

# %% [markdown]
# And along the paths of the trained networks: rank correlation of each measure with the path's
# length, over matched paths, mean over seeds. Longer paths may differ in more than length. But
# where the share out of band goes with it, too, as on CIFAR-10 (about -.5, little less than the
# line-detrended one), networks have to be compared along the same paths, or at equal length.

# %%
measures = [*COLOURS, "E"]
of_networks = by_path[by_path["function"] == "the network"].set_index(["kind", "seed"])
ranks = of_networks.groupby(level=["kind", "seed"])[[*measures, "points"]].corr("spearman")
ranks["points"].unstack()[measures].groupby("kind").mean().round(2)

# %% [markdown]
# **Precision.** Rounding adds noise to a path. A smooth function has little power out of band, so
# there the noise may be what one measures. Each architecture (one run each) along the same paths in
# four precisions, relative to float64. TF32 rounds what goes into every convolution and matrix
# product to 10 bits of mantissa; a CPU has no such mode, so the rounding is done by hand.


# %%
def to_tf32(x):
    """Round float32 to TF32's 10 bits of mantissa, to nearest."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def in_tf32(network):
    """A copy whose convolutions and linear layers see weights and inputs rounded to TF32."""
    rounded = copy.deepcopy(network)
    for module in rounded.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.weight.data = to_tf32(module.weight.data)
            module.register_forward_pre_hook(lambda _, inputs: (to_tf32(inputs[0]),))
    return rounded


@runs.single_thread()
@torch.inference_mode()
def softmax_in(name, network, images):
    """The softmax, float64, as a network computes its logits in that precision."""
    if name in ("fp16", "bf16"):
        with torch.autocast("cpu", {"fp16": torch.float16, "bf16": torch.bfloat16}[name]):
            return network(images).double().softmax(1)
    if name == "float64":
        return copy.deepcopy(network).double()(images.double()).softmax(1)
    return (in_tf32(network) if name == "tf32" else network)(images).double().softmax(1)


# %%
NUM_PATHS, PRECISIONS = 10, ("fp32", "tf32", "fp16", "bf16")
multiples = [1, 2, 4]
chosen = few[few["seed"] == seeds[0]].groupby("kind").head(NUM_PATHS)
joined = measure.join(test, chosen[["a", "b"]].to_numpy(copy=True), spacing)
points, powers = [], {}
for (a, b), distance, number in zip(joined.pairs, joined.distances, joined.points, strict=True):
    start, end = test.normalize(test.x_test[[a, b]])
    share = torch.arange(number)[:, None, None, None] * (spacing / distance)
    points.append(start + share.float() * (end - start))
for (name, _), config in by_architecture.items():
    network = final_network(config)
    for precision_name in ("float64", *PRECISIONS):
        outputs = softmax_in(precision_name, network, torch.cat(points)).split(list(joined.points))
        cutoffs = [multiple * cutoff for multiple in multiples]
        power = [measure.out_of_band_curve(one[None], spacing, cutoffs) for one in outputs]
        powers[name, precision_name] = torch.cat(power).mean(0).numpy()

# %%
rows = []
for name in architectures:
    for precision_name in PRECISIONS:
        ratio = powers[name, precision_name] / powers[name, "float64"]
        about = {"network": name, "precision": precision_name}
        rows += [
            {**about, "f": m * cutoff, "ratio": r} for m, r in zip(multiples, ratio, strict=True)
        ]
rounded = pd.DataFrame(rows)
grid = plots.sns.relplot(
    rounded, x="f", y="ratio", hue="precision", col="network", kind="line", marker="o", height=3.3
)
grid.set(xscale="log", yscale="log")
for ax in grid.axes.flat:
    ax.set_xticks(cutoffs, [f"{f:g}" for f in cutoffs])
    ax.xaxis.minorticks_off()
grid.set_axis_labels("f (cycles/nu)", "E(f) relative to float64")
grid.set_titles("{col_name}")
plots.plt.show()
index = ["network", "precision"]
rounded.pivot_table(index=index, columns="f", values="ratio", sort=False).map("{:.3g}".format)

# %%
off = (rounded["ratio"] - 1).abs().groupby(rounded["precision"]).max()
statement = "E in fp32 against float64, one run an architecture, largest relative error"
claimed.append(claims.exact("M4", statement, off["fp32"], "< 0.01", 2))

# %% [markdown]
# So: train in whatever precision is fast, measure in IEEE fp32, and reduce in float64.
#
# ## 5. How many seeds, and whose paths
#
# A claim about networks needs an interval over networks. Here nothing is there to be found: the
# effect of every seed is drawn from a normal distribution of mean 0. How often does a 95 % interval
# over them exclude 0? A percentile bootstrap over two seeds is $[\min, \max]$; Student's t asks how
# far the seeds lie apart.


# %%
def bootstrapped(values, rng):
    """Percentile bootstrap intervals of means over the columns of values (studies, seeds)."""
    number = values.shape[1]
    weights = rng.multinomial(number, np.full(number, 1 / number), size=2000) / number
    return np.quantile(values @ weights.T, [0.025, 0.975], axis=1)


def students(values, _rng):
    number = values.shape[1]
    half = scipy.stats.t.ppf(0.975, number - 1) * values.std(1, ddof=1) / number**0.5
    return values.mean(1) - half, values.mean(1) + half


rng, rows = np.random.default_rng(0), []
for number in (2, 3, 5, 8):
    null = rng.normal(size=(4000, number))
    for name, interval in {"percentile bootstrap": bootstrapped, "Student's t": students}.items():
        low, high = interval(null, rng)
        rows.append((name, number, ((low > 0) | (high < 0)).mean()))
nulls = pd.DataFrame(rows, columns=["interval over seeds", "seeds", "decided"])

# %% [markdown]
# And the paths: each seed's effect is its network's, plus that of the images that were drawn, here
# with equal variance. If all seeds measure along the same pairs, the images' effect is common to
# them and no spread over seeds shows it. If each seed draws its own, the spread holds both.

# %%
rows = []
for number in (5, 8):
    networks, images = rng.normal(size=(2, 4000, number))
    for name, of_images in {"shared by all": images[:, :1], "each its own": images}.items():
        low, high = students(networks + of_images, rng)
        rows.append((name, number, ((low > 0) | (high < 0)).mean()))
pairs = pd.DataFrame(rows, columns=["pairs of images", "seeds", "decided"])
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4), sharey=True)
for ax, table in zip(axes, (nulls, pairs), strict=True):
    plots.sns.barplot(table, x="seeds", y="decided", hue=table.columns[0], ax=ax)
    ax.axhline(0.05, color="k", ls="--", lw=1)
    ax.set(ylabel="share of null effects that are decided", title=f"By {table.columns[0]}")
    ax.legend(fontsize="small")
figure.tight_layout()

# %%
rate = nulls.set_index(["interval over seeds", "seeds"])["decided"]
of_pairs, said = pairs.set_index(["pairs of images", "seeds"])["decided"], "null effects decided"
bootstrap, t_interval = rate["percentile bootstrap"], rate["Student's t"]
claimed += [
    claims.exact("M5", f"{said} by a percentile bootstrap, 2 seeds", bootstrap[2], "> 0.4", 2),
    claims.exact("M5", f"{said} by a percentile bootstrap, 3 seeds", bootstrap[3], "> 0.2", 2),
    claims.exact("M5", f"{said} by Student's t, 5 seeds", t_interval[5], "< 0.06", 2),
    claims.exact("M5", f"{said} by t, pairs shared", of_pairs["shared by all", 5], "> 0.3", 2),
    claims.exact("M5", f"{said} by t, own pairs", of_pairs["each its own", 5], "< 0.06", 2),
]

# %% [markdown]
# One network alone has an interval too, over images. Its paths share their ends and are not
# independent: so images are drawn anew, not paths, and a path counts as often as the product of its
# ends' draws (the pigeonhole bootstrap: Owen, *Annals of Applied Statistics* 2007). That errs on
# the wide side: two draws a path make even unrelated paths' intervals about $\sqrt 3$ as wide. The
# widths for E, of the first network between classes, and of the same values if no two paths shared
# an image: what the second has beyond the third is what sharing does.

# %%
matched = first.sample(frac=1, random_state=0)
rows = []
for number in sorted({min(number, len(matched)) for number in (25, 50, 100, len(matched))}):
    part = matched.head(number)
    drawn = {"paths": np.arange(number), "images": part[["a", "b"]]}
    drawn["images, if none were shared"] = np.arange(2 * number).reshape(number, 2)
    for name, groups in drawn.items():
        interval = resampling.bootstrap(part[measure.PRIMARY], groups, num_resamples=1000)
        width = (interval.high - interval.low) / interval.estimate
        rows.append((number, name, width))
widths = pd.DataFrame(rows, columns=["paths measured", "drawn anew", "width / estimate"])
widths.pivot(index="paths measured", columns="drawn anew", values="width / estimate").round(2)

# %% [markdown]
# ## Claims
#
# An exact statement is a number without an interval, beside the inequality that it should meet.
# Those of known curves and simulations are the same on every machine to the decimals shown; that of
# precision is about the networks of one seed, and says nothing of others. What else is said of
# trained networks is described, with Student's intervals over seeds; no finding of the paper is
# tested here, so there is no verdict.

# %%
# NBVAL_CHECK_OUTPUT
verdicts.show(claimed)

# %%
verdicts.table(claimed)

# %% [markdown]
# ## The answer

# %% tags=["verdict", "slide"]
exact = [claim for claim in claimed if claim.decimals is not None]
missed = [claim.statement for claim in exact if claim.effect.reason]
print(f"Of {len(exact)} exact statements {len(exact) - len(missed)} hold.", "; ".join(missed))
print(
    f"A tenfold slope moves the {HFF} by a factor of {spans[HFF]:.2f}, the {LINE} by"
    f" {spans[LINE]:.0f} and the {SHARE} by {spans[SHARE]:,.0f}. A parabola has a {LINE} of"
    f" {parabola[LINE]:.2g} and a {SHARE} of {parabola[SHARE]:.1g}.\n"
)
print(f"Of networks trained on {test.name}, {len(seeds)} seeds:")
for claim in claimed:
    if claim.decimals is None:
        why = f" (no test: {claim.effect.reason})" if claim.effect.reason else ""
        print(f"- {claim.statement}: {claim.text}{why}")

# %% [markdown]
# ## What to make of it
#
# A measure earns trust on curves whose answer is known. HFF fails there because a Fourier transform
# wants a period, and a path has none. A line subtracted leaves a kink; a Hann window removes that
# too, but its main lobe is four bins wide: too wide for a cutoff at the third. The power out of
# band needs neither period nor window; what it gives of nothing is its floor, which every figure
# shows. The later notebooks report HFF, since it is what was published, and the power out of band
# beside it; where they disagree, remember this page.
#
# $E$ is not free of choices. It grows with the height of a transition as well as with its
# steepness, so the later notebooks also give class changes a path, $E$ for each of them, the share,
# and standardised logits; the twelve variants of a verdict are these.

# %% [markdown]
# ## Exercises
#
# Exercise 1.1 stands above, before its figure. The kinds: *predict*, before the figure;
# *implement*, a function with a check; *vary*, one parameter; *think*, in writing, with reasons;
# *extend*, a change to the code, or a new finding. Solutions and answers are folded.

# %% [markdown] tags=["exercise"]
# ### Exercise 1.2 (implement)
#
# Write the published HFF of one path, from the formula at the top. The check compares it with `lib`
# on curves of several lengths.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# $K$ is the number of bins of `rfft`, $N/2 + 1$ for an even $N$; in the numerator the last bin is
# missing, for an odd $N$ too, and $\lceil K/10 \rceil$ is `-(-K // 10)`.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
import numpy as np


def published_hff(softmax):
    """HFF of one path; softmax: (points, classes), real."""
    # the magnitudes of all bins, their mean over classes, then two sums
    ### BEGIN SOLUTION
    magnitude = np.abs(np.fft.rfft(softmax, axis=0)).mean(axis=1)
    return magnitude[-(-len(magnitude) // 10) : -1].sum() / magnitude.sum()
    ### END SOLUTION


# %% tags=["check"]
import torch

from lib import measure

for number_of_points in (24, 60, 61, 128):
    example = np.random.default_rng(0).dirichlet(np.ones(5), number_of_points)
    right = measure.high_frequency_fraction(torch.from_numpy(example)[None]).item()
    found = published_hff(example)
    assert np.isclose(found, right), f"{number_of_points} points: {right:.4f}, not {found}"

# %% [markdown] tags=["exercise"]
# ### Exercise 1.3 (think)
#
# What is the share out of band of white noise? Count dimensions first, then simulate it.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# White noise has as much variance along every orthonormal direction. How many does $V$ take away,
# and how many does the variance itself leave out?
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
noise = torch.randn(2000, 60, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
columns = band(60, 0.05).shape[1]
print(f"{measure.out_of_band_share(noise, 1.0, 0.05).mean():.3f}, by dimensions")
print(f"{(60 - columns) / 59:.3f} (60 points less {columns} columns, over 60 less the mean)")

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# Each of the $N$ directions carries the same variance. The residual has the $N$ less the columns of
# $V$ that are left, the variance all but the mean's: the share is about $(N - \text{columns}) / (N
# - 1)$. So even noise does not score 1, a share has a ceiling below 1, and the ceiling falls as the
# cutoff rises: shares at two cutoffs are not on one scale.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 1.4 (vary)
#
# Vary the curve: a straight ramp, and a step near one end instead of in the middle. What is the HFF
# of each, and what the share out of band?

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# `all_measures` takes curves of shape (paths, points, classes).
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
ramp_and_step = torch.stack([place / 59, (place >= 55).double()])[..., None]
all_measures(ramp_and_step, 0.05).set_index(pd.Index(["ramp", "step at 55"])).round(4)

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# The ramp, a function without any frequency, has an HFF like a step's in the middle: it too ends
# elsewhere than it began. Moving the step to the end changes HFF, since DC is in its denominator
# and shrinks, although the function is as steep as before. The share out of band of the ramp is
# zero by construction, as the line is a column of $V$; the step's is large wherever it stands.
#
# </details>

# %% [markdown] tags=["exercise"]
# ### Exercise 1.5 (think)
#
# Why may a path not be shorter than two periods of the cutoff? Ask the measure for less, and
# explain what it would have to tell apart.

# %% [markdown] tags=["hint"]
# <details><summary>Hint</summary>
#
# How many columns has $V$, and how many points are there?
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
try:
    dataclasses.replace(protocol, cutoff=0.2 / spacing)
except ValueError as error:
    print(error)
try:
    measure.out_of_band_power(curves[:, :30], 1.0, 0.05)
except ValueError as error:
    print(error)

# %% [markdown] tags=["answer"]
# <details><summary>Answer</summary>
#
# On an interval of length $L$ functions below $f_c$ span about $2 L f_c$ dimensions, and a
# constant, a line and the edge of the band come on top. On a short path these few columns hold
# nearly anything that is smooth on it: "slow" and "fast" cannot be told apart in less than about
# two periods, with any measure. At the other end, with columns for half of the points, little is
# left to be residual. The measure refuses both, in place of giving a number that means nothing.
#
# </details>

# %% [markdown]
# ## Provenance

# %%
# NBVAL_IGNORE_OUTPUT
provenance.record(claimed, trained, globals(), opened=trained)
