"""The figure of a report: images/s of every way and of the floor, and cost against size."""

from lib import plots

WAYS = {
    "measuring": {"contiguous": "eager", "channels_last": "eager, channels_last", "ours": "study"},
    "training": {"eager": "eager, fp32", "fp32": "study, fp32", "bf16": "study, bf16"},
}


def draw(content: dict):
    plots.style()
    figure, axes = plots.plt.subplots(1, 3, figsize=(16, 4.5), constrained_layout=True)
    rows, names = content["models"], [row["model"] for row in content["models"]]
    for ax, (task, ways) in zip(axes, WAYS.items(), strict=False):
        rates = [row[task][-1] if task == "measuring" else row[task] for row in rows]
        bars = {label: [rate.get(way, 0) for rate in rates] for way, label in ways.items()}
        bars["floor (device's limits)"] = [row["floors"][task] for row in rows]
        for number, (label, heights) in enumerate(bars.items()):
            places = [place + 0.2 * (number - 1.5) for place in range(len(names))]
            ax.bar(places, heights, 0.2, label=label, color=f"C{number}")
        ax.set(title=f"{task}, 32 x 32 pixels", ylabel="images/s", yscale="log")
        ax.set_xticks(range(len(names)), names)
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    peaks = [f"{row['peak MB']:.0f}" for row in content["cost"]["paths"]]
    labels = {"paths": f"paths (peak memory {peaks[0]} to {peaks[-1]} MB)", "runs": "runs"}
    for unit, label in labels.items():
        rows = content["cost"][unit]
        sizes, seconds = [row[unit] for row in rows], [row["seconds"] for row in rows]
        axes[2].plot(sizes, seconds, marker="o", label=label)
    axes[2].set(title="cost of more paths, of more runs", xlabel="number", ylabel="seconds")
    axes[2].set(xscale="log", yscale="log")
    axes[2].legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
    figure.suptitle(content["device"])
    return figure
