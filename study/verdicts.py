"""Verdicts: what follows from the p-values of claims together, and how a notebook says it."""

import collections
import math
import re

import numpy as np
import pandas as pd
import scipy.stats

from study.claims import Claim

LEVEL = 0.05
# between them p-values that another processor may bring across the level: see results/reproduce.md
NEAR = (0.003, 0.32)
NO_SIGN = 0.1  # a rank correlation below it may change its sign there
VERDICTS = ("supported", "contradicted", "negligible", "inconclusive", "not testable")
ALONE = ("as claimed", "against the claim", "negligible", "inconclusive", "not testable")
NOTE = (
    "Each claim is judged here by itself. The scoreboard's verdicts hold false discoveries at 5 % "
    "over all primary claims of a profile, and may leave open what is decided here."
)


def sign(effect: dict) -> int:
    estimate = effect["estimate"]
    return 0 if estimate is None or math.isnan(estimate) else int(np.sign(estimate))


def false_discoveries(p) -> np.ndarray:
    """q-values of p-values (n,) after Benjamini and Hochberg; NaN stays NaN and does not count."""
    p = np.asarray(p, dtype=np.float64)
    there = np.isfinite(p)
    q = np.full(len(p), math.nan)
    if there.any():
        q[there] = scipy.stats.false_discovery_control(p[there])
    return q


def verdict(effect: dict, expected: str, q: float | None) -> str:
    """What follows from an effect (as a dict) and its q-value."""
    if effect["reason"] or q is None or math.isnan(q):
        return "not testable"
    if q <= LEVEL:
        agrees = expected == "!=" or (sign(effect) > 0) == (expected == ">")
        return "supported" if agrees else "contradicted"
    return "negligible" if effect["negligible"] else "inconclusive"


def judge(rows: list[dict]) -> list[dict]:
    """The primary claims among `Claim.row`s, each with q, verdict, published_q, published_verdict,
    agreeing ("11/12": of the variants that could be tested, those decided with the primary's sign),
    against (", 4 against" it, or ""), ways (which are decided, upwards and downwards) and depends
    (both ways). q-values are over all the rows given, of variants over a claim's own."""
    chosen = [dict(row) for row in rows if row.get("name")]
    for part, of in (("effect", ""), ("published", "published_")):
        there = [row for row in chosen if row[part]]
        p = [math.nan if row[part]["reason"] else row[part]["p"] for row in there]
        for row, q in zip(there, false_discoveries(np.array(p, float)), strict=True):
            row[f"{of}q"], row[f"{of}verdict"] = float(q), verdict(row[part], row["expected"], q)
    for row in chosen:
        estimates, p = np.array(list(row["variants"].values()) or np.empty((0, 2)), float).T
        decided, tested = np.sign(estimates) * (false_discoveries(p) <= LEVEL), np.isfinite(p).sum()
        agree, against = (int((decided * sign(row["effect"]) == way).sum()) for way in (1, -1))
        row["agreeing"] = f"{agree}/{tested}" if tested else ""
        row["against"] = f", {against} against" if against else ""
        row["ways"] = [_kinds(row["variants"], decided == way) for way in (1, -1)]
        row["depends"] = all(row["ways"])
    return chosen


def _kinds(variants: dict, chosen: np.ndarray) -> str:
    """The chosen variants in words, those of several cutoffs together: power softmax (3)."""
    names = [name for name, one in zip(variants, chosen, strict=True) if one]
    counts = collections.Counter(re.sub(r"_[\d.]+$", "", name).replace("_", " ") for name in names)
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def alone(row: dict) -> str:
    """What a claim's own p-value says of it, without the others."""
    found = verdict(row["effect"], row["expected"], row["effect"]["p"])
    return ALONE[VERDICTS.index(found)]


def why(row: dict) -> str:
    """Why a row's claim could not be tested, in brackets; "" where it could."""
    return f" ({row['effect']['reason']})" if row["effect"]["reason"] else ""


def line(claim: Claim) -> str:
    """What nbval compares of a claim: what is the same on every processor."""
    effect = claim.effect
    if claim.decimals is not None:
        met = "holds" if not effect.reason else "does not hold"
        return f"{claim.finding:<4}{met:<15}{claim.statement}: {claim.text}"
    if effect.reason:
        state = "not testable"
    elif effect.unit == "conditions":  # one of them that changes its rank changes p tenfold
        side = "above 0" if effect.estimate > 0 else "below 0"
        state = f"rho {side if abs(effect.estimate) >= NO_SIGN else 'near 0'}"
    elif effect.p <= NEAR[0]:
        state = "above 0" if effect.estimate > 0 else "below 0"
    else:
        state = "p .003 to .32" if effect.p < NEAR[1] else "p above .32"
    kind = "primary" if claim.name else "described"
    return f"{claim.finding:<4}{kind:<10}{state:<15}n = {effect.n:<3}{claim.statement}"


def show(claimed: list[Claim]) -> None:
    """Print the claims as nbval compares them. "above 0": the effect, a ratio above 1."""
    for claim in claimed:
        print(line(claim))


def table(claimed: list[Claim]) -> pd.DataFrame:
    """The claims with their effects and intervals, for the reader, each judged by itself."""
    judged, rows = iter(judge([claim.row() for claim in claimed])), []
    for claim in claimed:
        row = {"finding": claim.finding, "claim": claim.statement, "effect": claim.text}
        if claim.name:
            found = next(judged)
            row |= {"by itself": alone(found), "variants": found["agreeing"]}
            row |= {"p": f"{claim.effect.p:.2g}", "median path": claim.median_text}
            row["published"] = claim.published_text
        rows.append(row | {"why not": claim.effect.reason})
    return pd.DataFrame(rows).set_index("finding").fillna("")


def answer(claimed: list[Claim]) -> str:
    """The answer in words: each primary claim by itself, its variants, median and as published."""
    sentences = []
    for row in judge([claim.row() for claim in claimed]):
        text = f"{row['statement'][0].upper()}{row['statement'][1:]}: {alone(row)}{why(row)}"
        text += f", {row['text']}."
        for way, names in zip(("upwards", "downwards"), row["ways"], strict=True):
            text += f" Variants decided {way}: {names}." * bool(names)
        if row["agreeing"]:
            text += f" Testable variants decided with its sign: {row['agreeing']}."
        text += " It depends on the measure." * row["depends"]
        median = row["median_text"].replace("no estimate", "")
        text += f" The median path: {median}." * bool(median)
        sentences.append(text + f" As published: {row['published_text']}." * bool(row["published"]))
    return "\n\n".join([*sentences, NOTE] if sentences else [])
