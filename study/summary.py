"""results/README.md: what the profiles together say, for a reader who doubts."""

import itertools

from study import verdicts
from study.claims import PRIMARIES

HEAD = """# What holds

Primary claims of findings F1 to F11, by their published measure (minimum of noise fitting; of
paths HFF, from *Models Out of Line*, 2022) and by this study's (power out of band along matched
paths, mean gain). [Declared](../study/claims.py) before the runs shown; after an earlier instrument
on digits and pilots on CIFAR-10: F2 (both rose), F7 (so: no augmentation). False discoveries: 5 %.
"""
DECIDED = ("supported", "contradicted")
ASIDES = {"F2 along random directions": "along random", "F5 more of its gain kept": "of its gain"}
ASIDES |= {"F8 at equal f, a doubling": "whitened images,"}
DOUBT = """## What would change our mind

- *Depends on the measure*: an argument, beforehand, for one output and normalisation.
- *The median path*: a few can carry a mean. Added after CIFAR-10, it decides nothing.
- *Random directions* end in no image: where power rises there too, F2 may not be about classes.
- *Inconclusive*: more seeds or conditions, unless interventions disagree (CIFAR-10's F11).
- *Negligible*: why 10 % would matter. *Not testable*: 100 matched paths, clear of the floor.
- Verdicts that turn with spacing, precision or kind of path:
  [01](../notebooks/01_measuring_frequency.ipynb), [03](../notebooks/03_training_time.ipynb).

## Limits

Small networks and images, few epochs, chosen conditions: going together tells no cause.
"""


def _named(rows: list[dict]) -> str:
    of = itertools.groupby(rows, lambda row: row["finding"])
    names = [f"{one} {', '.join(row['name'].replace(',', '') for row in its)}" for one, its in of]
    return "; ".join(names) or "none"


def _listed(rows: list[dict], key: str) -> str:
    of = {name: [row for row in rows if row.get(key) == name] for name in verdicts.VERDICTS}
    return "; ".join(f"{len(own)} {name} ({_named(own)})" for name, own in of.items() if own)


def of_profile(profile: str, rows: list[dict]) -> str:
    """A section: the verdicts of a profile's claims by both measures, and where they part."""
    judged = verdicts.judge(rows)
    sure = [row for row in judged if row.get("published_verdict") in DECIDED]
    small = [row for row in sure if row["published"]["negligible"]]
    both = [row for row in sure if row["verdict"] in DECIDED]
    parted = [r for r in both if verdicts.sign(r["published"]) != verdicts.sign(r["effect"])]
    depends, parting = [row for row in judged if row["depends"]], [*filter(median_parts, judged)]
    text = [f"## [{profile}]({profile}/README.md)\n"]
    text.append(f"- **As published** {_listed(judged, 'published_verdict')}.")
    text.append(f"- Decided as published, but within 10 %: {_named(small)}.")
    text.append(f"- **Out of band** {_listed(judged, 'verdict')}.")
    text.append(f"- Decided by both, in opposite ways: {_named(parted)}.")
    text.append(f"- **Depends on the measure** (variants decided both ways): {_named(depends)}.")
    text.append(f"- **The median path goes the other way** (softmax): {_named(parting)}.")
    for title, words in ASIDES.items():
        own = [(row["statement"], row["text"]) for row in rows if words in row["statement"]]
        told = [f"{of.split()[0]} {it[: it.find(']') + 1] or it}" for of, it in own]
        text += [f"- {title}: {'; '.join(told)}."] if told else []
    return "\n".join([*text, *not_executed(rows), ""])


def median_parts(row: dict) -> bool:
    """Whether a claim is decided, and the median path's effect sure and of the other sign."""
    median = row.get("median") or {"p": None}
    sure = median["p"] is not None and median["p"] <= verdicts.LEVEL and row["verdict"] in DECIDED
    return sure and verdicts.sign(median) == -verdicts.sign(row["effect"])


def not_executed(rows: list[dict]) -> list[str]:
    """A line that names the findings without claims, if there are any."""
    missing = ", ".join(name for name in PRIMARIES if name not in {row["finding"] for row in rows})
    return [f"- **Not yet executed**: {missing}. q is over the others."] if missing else []


def page(claims_of: dict[str, list[dict]]) -> str:
    """The page, of claims by profile, the one on real images first."""
    return "\n".join([HEAD, *(of_profile(*own) for own in claims_of.items()), DOUBT])
