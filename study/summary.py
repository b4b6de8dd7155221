"""The sections of results/README.md: what holds in each profile, for a reader who doubts."""

import itertools

from lib.measure import KINDS
from study import verdicts
from study.claims import PRIMARIES

DECIDED, OPEN = ("supported", "contradicted"), ("negligible", "inconclusive")
ASIDES = {"F2 along random directions": "along random"}
ASIDES |= {"F4, epochs fixed, a doubling": "epochs fixed"}
ASIDES |= {"F5, share of gain kept, less the fast's": "of its gain"}
ASIDES |= {"F8 at equal f, image frequency doubled": "whitened images,"}


def _named(rows: list[dict]) -> str:
    of = itertools.groupby(rows, lambda row: row["finding"])
    names = [f"{one} {', '.join(row['name'].replace(',', '') for row in its)}" for one, its in of]
    return "; ".join(names) or "none"


def _listed(rows: list[dict], key: str) -> str:
    of = {name: [row for row in rows if row.get(key) == name] for name in verdicts.VERDICTS}
    told = {name: f" ({_named(own)})" * (name not in OPEN) for name, own in of.items()}
    return "; ".join(f"{len(own)} {name}{told[name]}" for name, own in of.items() if own)


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
    text.append(f"- Decided as published, under 10 %: {_named(small)}.")
    text.append(f"- **Out of band** {_listed(judged, 'verdict')}.")
    text.append(f"- Between and within move the same way: {one_way(judged)}.")
    text.append(f"- Decided by both, in opposite ways: {_named(parted)}.")
    text.append(f"- **Depends on the measure** (variants decided both ways): {_named(depends)}.")
    text.append(f"- **The median path does not bear out** {_named(parting)}.")
    for title, words in ASIDES.items():
        own = [(row["statement"], row["text"]) for row in rows if words in row["statement"]]
        told = [f"{of.split()[0]} {it[: it.find(']') + 1] or it}" for of, it in own]
        text += [f"- {title}: {'; '.join(told)}."] if told else []
    return "\n".join([*text, *not_executed(rows), ""])


def one_way(judged: list[dict]) -> str:
    """The findings whose claims of both kinds of path are decided, with effects of one sign."""
    sure = [row for row in judged if row["verdict"] in DECIDED]
    found = {(row["finding"], row["name"], verdicts.sign(row["effect"])) for row in sure}
    ways = [(of, {(of, kind, way) for kind in KINDS}) for of in PRIMARIES for way in (1, -1)]
    return ", ".join(of for of, both in ways if both <= found) or "none"


def median_parts(row: dict) -> bool:
    """Whether a claim is decided, but its median path's effect, if any, not with the same sign."""
    median = row.get("median") or {"p": None}
    if median["p"] is None or row["verdict"] not in DECIDED:
        return False
    return median["p"] > verdicts.LEVEL or verdicts.sign(median) != verdicts.sign(row["effect"])


def not_executed(rows: list[dict]) -> list[str]:
    """A line that names the findings without claims, if there are any."""
    missing = ", ".join(name for name in PRIMARIES if name not in {row["finding"] for row in rows})
    return [f"- **Not yet executed**: {missing}. q is over the others."] if missing else []
