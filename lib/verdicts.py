"""Verdicts: what follows from the p-values of claims together, and how a notebook says it."""

import math

import numpy as np
import pandas as pd

from lib.claims import Claim
from lib.stats import false_discoveries

LEVEL = 0.05
NEAR = (0.02, 0.12)  # p-values that another processor's rounding may bring across the level
VERDICTS = ("supported", "contradicted", "negligible", "inconclusive", "not testable")


def sign(effect: dict) -> int:
    estimate = effect["estimate"]
    return 0 if estimate is None or math.isnan(estimate) else int(np.sign(estimate))


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
    agreeing ("11/12": variants decided with the primary's sign) and depends (variants are decided
    both ways). q-values are over all the rows given: a profile's, or one notebook's."""
    chosen = [dict(row) for row in rows if row.get("name")]
    for part, q_name, verdict_name in (
        ("effect", "q", "verdict"),
        ("published", "published_q", "published_verdict"),
    ):
        there = [row for row in chosen if row[part]]
        p = [math.nan if row[part]["reason"] else row[part]["p"] for row in there]
        for row, q in zip(there, false_discoveries(np.array(p, float)), strict=True):
            row[q_name], row[verdict_name] = float(q), verdict(row[part], row["expected"], q)
    for row in chosen:
        estimates, p = np.array(list(row["variants"].values()) or np.empty((0, 2)), float).T
        decided = np.sign(estimates) * (false_discoveries(p) <= LEVEL)
        agreeing = int((decided == sign(row["effect"])).sum())
        row["agreeing"] = f"{agreeing}/{len(decided)}" if len(decided) else ""
        row["depends"] = bool((decided > 0).any() and (decided < 0).any())
    return chosen


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
    elif effect.p <= NEAR[0]:
        state = "above 0" if effect.estimate > 0 else "below 0"
    else:
        state = "near the level" if effect.p < NEAR[1] else "not decided"
    kind = "primary" if claim.name else "described"
    return f"{claim.finding:<4}{kind:<10}{state:<15}n = {effect.n:<3}{claim.statement}"


def show(claimed: list[Claim]) -> None:
    """Print the claims, a line each: the cell that nbval compares. "above 0": of the effect, that a
    ratio is above 1, whatever the claim expects."""
    for claim in claimed:
        print(line(claim))


def table(claimed: list[Claim]) -> pd.DataFrame:
    """The claims with their effects and intervals, for the reader. Verdicts are over this
    notebook's primary claims; the scoreboard's are over the whole profile's."""
    judged = iter(judge([claim.row() for claim in claimed]))
    rows = []
    for claim in claimed:
        row = {"finding": claim.finding, "claim": claim.statement, "effect": claim.text}
        if claim.name:
            found = next(judged)
            row |= {"verdict": found["verdict"], "variants": found["agreeing"]}
            row |= {"p": f"{claim.effect.p:.2g}", "published": claim.published_text}
        rows.append(row | {"why not": claim.effect.reason})
    return pd.DataFrame(rows).set_index("finding").fillna("")


def answer(claimed: list[Claim]) -> str:
    """The answer in words, of the primary claims: effect, verdict, variants, and the same as it was
    published."""
    sentences = []
    for row in judge([claim.row() for claim in claimed]):
        text = f"{row['statement'][0].upper()}{row['statement'][1:]}: {row['verdict']}{why(row)}"
        text += f", {row['text']}."
        if row["verdict"] != "not testable":
            text += f" Of the variants {row['agreeing']} are decided with this sign"
            text += ", others with the opposite one: it depends on the measure." * row["depends"]
            text += "." * (not row["depends"])
        if row["published"]:
            text += f" As published: {row['published_verdict']}, {row['published_text']}."
        sentences.append(text)
    return "\n\n".join(sentences)
