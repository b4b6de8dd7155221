"""The pages that show the claims which came with the study: README's table, a page a profile with
its matrix, and results/README.md."""

import itertools
import re
from pathlib import Path

import pandas as pd

from lib import plots
from lib.parameters import ROOT, StudyError
from study import matrix, profiles, results, summary, verdicts
from study.copies import executed_in, payload
from study.places import put
from study.results import DEPENDS

MEDIAN = "°"  # the median path is not so
MARKS = dict(zip(verdicts.VERDICTS, "✔✘0?-", strict=True))
LEGEND = """"It" is power out of band, of the softmax above the lowest cutoff, along paths whose
ends all compared networks classify correctly. n: seeds, or conditions; q: after Benjamini and
Hochberg over these claims. Variants: how many of the measures that could be tested (twelve; three
of a wave) are decided with the same sign, and against it. Negligible: neither supported nor
contradicted, and the 90 % interval within 10 % end to end (of a gain, of its mean; of accuracy, a
point; of a rank correlation, .3). Intervals of rank correlations are bootstraps over conditions,
their tests permutations: near 0 the two can differ. Few paths may carry a mean (notebooks say how
many): the middle path stands beside it, and decides nothing. Accuracy has no published measure."""
MATRIX = "Effect of each primary claim by measure, over a dose's whole range; dot: decided"
HEADS = (
    "|  | claim | verdict | effect [95 % interval] | n | q | variants | median path | published |"
)
FINDINGS = {
    "F1": "low-frequency targets are fitted first, and better",
    "F2": "with training: higher between classes, lower within",
    "F3": "larger networks fit a wave faster; better ones: as in F2",
    "F4": "more training examples, steps fixed: higher between classes, lower within",
    "F5": "weight decay shifts the spectrum (either way), delays high frequencies",
    "F6": "augmentations that raise accuracy: higher between, lower within",
    "F7": "self-distillation that raises accuracy: as in F6",
    "F8": "at equal periods, low image frequencies are fitted better",
    "F9": "augmentation with f and 1/f patterns moves function frequency",
    "F10": "the more diverse a class, the higher within it",
    "F11": "over all, the more accurate: higher between, lower within",
}


def profile_page(profile: str, rows: list[dict]) -> str:
    """The README.md of results/<profile>: what profile it is, and its primary claims."""
    about = (profiles.PARAMS / profile / "common.yaml").read_text().splitlines()
    about = itertools.takewhile(lambda line: line.startswith("#"), about)
    text = [f"# Results of profile {profile}", "", *(line.lstrip("# ") for line in about)]
    text += [*summary.not_executed(rows), ""]
    text += [f"![{MATRIX}](matrix.png)", "", HEADS, "|---" * (HEADS.count("|") - 1) + "|"]
    for row in verdicts.judge(rows):
        numbers = [str(row["effect"]["n"]), f"{row['q']:.2g}".replace("nan", "")]
        told = [row["statement"], row["verdict"] + verdicts.why(row), row["text"]]
        cells = [*told, *numbers, row["agreeing"] + row["against"], row.get("median_text", ""), ""]
        if row["published"]:
            cells[-1] = f"{row['published_verdict']}, {row['published_text']}"
        text.append(f"| {row['finding']} | {' | '.join(cells)} |")
    return "\n".join([*text, "", LEGEND, "", *budget(profile)]).rstrip() + "\n"


def budget(profile: str) -> list[str]:
    """Lines of a page with params/<profile>/budget.csv: what training was planned to take and took.
    A run counts for the first notebook that reads it; those of older versions are not timed."""
    file, seen, table = profiles.PARAMS / profile / "budget.csv", set(), {}
    for copy, executed in executed_in(results.place_of(profile)):
        seconds = payload(executed).get("seconds", {})
        if own := seconds.keys() - seen:
            its = [seconds[key] for key in own if seconds[key] is not None]
            table[copy.stem] = {"runs": len(own), "timed": len(its), "core-minutes": sum(its) / 60}
        seen |= own
    if not table or not file.is_file():
        return []
    planned = pd.read_csv(file, index_col="notebook").add_prefix("planned ")
    table = pd.DataFrame(table).T.replace({"core-minutes": {0: float("nan")}}).join(planned)
    table.loc["all"] = table.sum()
    table = table.round(1).map("{:g}".format).replace("nan", "")
    text = ["## What training took", "", "A run counts once; core-minutes: of timed ones.", ""]
    text += [f"| notebook | {' | '.join(table)} |", "|---" * (1 + len(table.columns)) + "|"]
    return text + [f"| {' | '.join(row)} |" for row in table.itertuples()]


def findings_table(claims_of: dict[str, list[dict]]) -> str:
    """The README's table, of claims by profile: a finding a line, and the mark of each primary
    claim, as published and by the primary measure."""
    names = [f"{profile}, {how}" for profile in claims_of for how in ("published", "ours")]
    text = [f"| | finding | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    judged = {profile: verdicts.judge(rows) for profile, rows in claims_of.items()}
    for finding, words in FINDINGS.items():
        notebooks, cells = set(), []
        for rows in judged.values():
            own = {r["name"].replace(",", ""): r for r in rows if r["finding"] == finding}
            notebooks |= {row["notebook"] for row in own.values()}
            for which in ("published_verdict", "verdict"):
                marks = {name: _mark(row, which) for name, row in own.items() if which in row}
                if len(marks) > 1 and len({*marks.values()}) == 1:
                    marks = {"all": marks.popitem()[1]}
                cells.append("; ".join(map(" ".join, marks.items())))
        links = [f"[{name[:2]}](notebooks/{name}.ipynb)" for name in sorted(notebooks)]
        text.append(f"| {finding} {' '.join(links)} | {words} | {' | '.join(cells)} |")
    return "\n".join(text).replace("  |", " |")


def _mark(row: dict, which: str) -> str:
    noted = DEPENDS * row["depends"] + MEDIAN * summary.median_parts(row)
    return MARKS[row[which]] + noted * (which == "verdict")


def pages() -> dict[Path, str]:
    """The files of the shipped claims: README.md and results/README.md, renewed where they stand;
    a page a profile."""
    of_profile = {profile: results.shipped(profile) for profile in results.SHIPPED}
    texts = {f"results/{one}/README.md": profile_page(one, its) for one, its in of_profile.items()}
    texts["README.md"] = _renewed("README.md", findings_table(of_profile))
    sections = "\n".join(summary.of_profile(*own) for own in of_profile.items())
    texts["results/README.md"] = _renewed("results/README.md", sections)
    return {ROOT / name: text for name, text in texts.items()}


def _renewed(name: str, text: str) -> str:
    """A page with its claims renewed, which stand between marks."""
    place = re.compile(r"(?<=<!-- findings -->\n).*?(?=<!-- /findings -->)", re.DOTALL)
    page, count = place.subn(lambda _: f"{text}\n", (ROOT / name).read_text())
    if count != 1:
        raise StudyError(f"{name}: needs <!-- findings --> and <!-- /findings --> once each")
    return page


def write() -> None:
    """Renew the pages, and results/*/matrix.png."""
    for file, text in pages().items():
        file.write_text(text)
    plots.style()
    for name in results.SHIPPED:
        drawn = matrix.figure(verdicts.judge(results.shipped(name)), name)
        put(ROOT / "results" / name / "matrix.png", lambda f, d=drawn: d.savefig(f, format="png"))
        plots.plt.close(drawn)
