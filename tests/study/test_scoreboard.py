"""The texts made of claims: the scoreboard, the page of a profile, the README's table."""

import dataclasses
import json
import math

import nbformat
import pytest

from lib.measure import KINDS, VARIANTS
from lib.parameters import ROOT
from lib.stats import Effect
from study import pages, results, summary
from study.claims import PRIMARIES, Claim, described
from study.provenance import MIME

YES, NO = Effect(0.5, 0.4, 0.6, 0.001, 5), Effect(-0.5, -0.6, -0.4, 0.001, 5)
OPEN, EVEN = Effect(0.5, -0.1, 1.1, 0.3, 5), Effect(0.0, -0.01, 0.01, 0.9, 5, negligible=True)
SMALL = Effect(0.02, 0.01, 0.03, 0.001, 5, negligible=True)
ONE_SEED = Effect(0.5, n=1, reason="n = 1 seeds; a verdict needs 5")
ODD = {VARIANTS[0]: YES, VARIANTS[1]: YES, VARIANTS[2]: NO}
OLD = {"notebook": "12_imagenet", "finding": "F10", "verdict": "supported", "headline": "a|b"}


def claim(finding, name, effect=YES, published=None, notebook="03_training_time", variants=()):
    """A row of claims.json: of a primary claim that says "rises"."""
    parts = (f"{name} rises", ">", effect, "x 1.5 [1.4, 1.6]", published, "x 2 [1.9, 2.1]")
    row = Claim(finding, name, *parts, dict(variants)).row()
    return {"notebook": notebook, **row}


def beside():
    return {"notebook": "03_training_time", **described("F2", "beside", YES, "x 3").row()}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_line_a_primary_claim_and_the_count_of_verdicts():
    rows = [
        claim("F2", "between", YES, variants=ODD),
        claim("F2", "within", ONE_SEED),
        beside(),
        OLD,
    ]
    text = results.lines(rows).splitlines()
    assert len(text) == 6
    first = "03_training_time F2 supported 2/3± 0.001 between rises: x 1.5 [1.4, 1.6]"
    assert " ".join(text[2].split()) == first
    second = (
        "03_training_time F2 not testable within rises: x 1.5 [1.4, 1.6] (n = 1 seeds; a verdict"
    )
    assert " ".join(text[3].split()).startswith(second)
    assert text[-1] == "2 primary claims: 1 supported, 1 not testable; 2 others, described or exact"


@pytest.mark.parametrize("rows", [[], [OLD], [OLD, OLD]])
def test_claims_of_before_are_counted_and_nothing_more(rows):
    said = f"0 primary claims: none; {len(rows)} others, described or exact"
    assert results.lines(rows).splitlines()[-1] == said
    assert pages.findings_table({"one": rows}).count("\n") == 12
    assert "|---|---|---|---|---|---|---|---|---|" in pages.profile_page("digits", rows)


def test_page_of_a_profile():
    """What profile it is, then a line a primary claim, then what the words mean."""
    rows = [
        claim("F2", "between", YES, NO, variants=ODD) | {"median_text": "x 0.1 [0.05, 0.2]"},
        claim("F2", "within", ONE_SEED, EVEN),
        claim("F1", "gain", NO),
        beside(),
    ]
    text = pages.profile_page("paper", rows).splitlines()
    assert text[0] == "# Results of profile paper"
    assert "200 epochs" in text[2]
    missing = ", ".join(f"F{number}" for number in range(3, 12))
    assert f"- **Not yet executed**: {missing}. q is over the others." in text
    table = [cells(line) for line in text if line.startswith("|")]
    effect = "x 1.5 [1.4, 1.6]"
    assert table[0] == [
        "",
        "claim",
        "verdict",
        "effect [95 % interval]",
        "n",
        "q",
        "variants",
        "median path",
        "published",
    ]
    published = ("contradicted, x 2 [1.9, 2.1]", "negligible, x 2 [1.9, 2.1]")
    odd = "2/3, 1 against"
    assert table[2] == [
        "F2",
        "between rises",
        "supported",
        effect,
        "5",
        "0.001",
        odd,
        "x 0.1 [0.05, 0.2]",
        published[0],
    ]
    why = "not testable (n = 1 seeds; a verdict needs 5)"
    assert table[3] == ["F2", "within rises", why, effect, "1", "", "", "", published[1]]
    assert table[4] == ["F1", "gain rises", "contradicted", effect, "5", "0.001", "", "", ""]
    assert len(table) == 5
    assert any('"It" is power out of band' in line for line in text)


def marks(*rows):
    """The two cells of F2: as published, and by the primary measure."""
    table = pages.findings_table({"one": list(rows)}).splitlines()
    return [cell.strip() for cell in table[3].split("|")[3:-1]]


def test_marks_of_a_finding():
    assert marks() == ["", ""]
    assert marks(claim("F2", "between")) == ["", "between ✔"]
    found = [claim("F2", "between", YES, NO), claim("F2", "within", NO, OPEN)]
    assert marks(*found) == ["between ✘; within ?", "between ✔; within ✘"]
    found = [claim("F2", "between", EVEN, ONE_SEED), claim("F2", "within", YES, YES, variants=ODD)]
    assert marks(*found) == ["between -; within ✔", "between 0; within ✔±"]
    few = claim("F2", "within", YES, YES) | {"median": dataclasses.asdict(NO)}
    assert marks(few) == ["within ✔", "within ✔°"]
    assert marks(beside()) == ["", ""]


def test_verdicts_on_the_scoreboard_are_those_of_the_whole_profile():
    """p = .03 of one claim is decided, beside nine that are not it is not."""
    edge = Effect(0.5, 0.1, 0.9, 0.03, 5)
    assert marks(claim("F2", "between", edge)) == ["", "between ✔"]
    others = [claim("F4", "between", OPEN, notebook="05_training_examples")] * 9
    assert marks(claim("F2", "between", edge), *others) == ["", "between ?"]


def test_table_of_findings():
    """A line a finding with links to its notebooks; two columns a profile."""
    one = [claim("F1", "gain", notebook="02_noise_fitting"), claim("F10", "within", NO, NO)]
    other = [claim("F10", "within", OPEN, notebook="11_class_diversity"), OLD]
    table = pages.findings_table({"one": one, "other": other}).splitlines()
    assert table[0] == (
        "| | finding | one, published | one, ours | other, published | other, ours |"
    )
    assert len({line.count("|") for line in table}) == 1
    findings = [line.split("|")[1].split()[0] for line in table[2:]]
    assert findings == [f"F{number}" for number in range(1, 12)]
    assert table[2].startswith("| F1 [02](notebooks/02_noise_fitting.ipynb) | low-frequency")
    assert table[2].endswith(" | | gain ✔ | | |")
    links = "[03](notebooks/03_training_time.ipynb) [11](notebooks/11_class_diversity.ipynb)"
    assert table[11].startswith(f"| F10 {links} | ")
    assert table[11].endswith(" | within ✘ | within ✘ | | within ? |")
    assert table[12].endswith(" | | | | |")


def test_every_primary_claim_has_its_place_in_the_table():
    """By its name where not all of a finding have one mark."""
    rows, expected = [], []
    for finding, own in PRIMARIES.items():
        effects = [NO, *[YES] * (len(own) - 1)]
        rows += [claim(finding, name, effect) for name, effect in zip(own, effects, strict=True)]
        marks_of = zip(own, ["✘", *"✔" * (len(own) - 1)], strict=True)
        expected.append("; ".join(f"{name.replace(',', '')} {mark}" for name, mark in marks_of))
    table = pages.findings_table({"one": rows}).splitlines()[2:]
    assert [line.split("|")[4].strip() for line in table] == expected
    same = pages.findings_table({"one": [claim("F2", "between"), claim("F2", "within")]})
    assert same.splitlines()[3].endswith(" | | all ✔ |")


def test_the_pages_are_made_of_the_shipped_claims(monkeypatch, tmp_path):
    row = claim("F2", "between")
    monkeypatch.setattr(results, "shipped", lambda profile: [row])
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    before, after = "text\n<!-- findings -->\n", "<!-- /findings -->\nmore\n"
    (tmp_path / "results").mkdir()
    for name in ("README.md", "results/README.md"):
        (tmp_path / name).write_text(f"{before}old\n{after}")
    texts = pages.pages()
    table = pages.findings_table({name: [row] for name in results.SHIPPED})
    assert texts[tmp_path / "README.md"] == f"{before}{table}\n{after}"
    sections = "\n".join(summary.of_profile(name, [row]) for name in results.SHIPPED)
    assert texts[tmp_path / "results/README.md"] == f"{before}{sections}\n{after}"
    for name in results.SHIPPED:
        page = texts[tmp_path / "results" / name / "README.md"]
        assert page == pages.profile_page(name, [row])


def test_the_summary_names_claims_by_verdict_and_where_measures_part():
    """Of five claims by both measures: opposite, only published, decided both ways, neither."""
    rows = [
        claim("F2", "between", YES, published=NO),
        claim("F2", "within", OPEN, published=NO),
        claim("F4", "between", YES, published=YES, variants=ODD.items()),
        claim("F9", "f, between", EVEN, published=EVEN),
        claim("F4", "within", ONE_SEED, published=ONE_SEED),
        claim("F10", "within", YES, published=SMALL),
    ]
    lines = summary.of_profile("one", rows).splitlines()
    published = "2 supported (F4 between; F10 within); 2 contradicted (F2 between, within)"
    published += "; 1 negligible; 1 not testable (F4 within)"
    assert f"- **As published** {published}." in lines
    own = "3 supported (F2 between; F4 between; F10 within); 1 negligible"
    own += "; 1 inconclusive; 1 not testable (F4 within)"
    assert f"- **Out of band** {own}." in lines
    assert "- Decided as published, under 10 %: F10 within." in lines
    assert "- Decided by both, in opposite ways: F2 between." in lines
    assert "- **Depends on the measure** (variants decided both ways): F4 between." in lines


def test_the_summary_knows_opposite_ways_of_a_claim_without_a_direction():
    """Supported by both measures, of which one rises and one falls."""
    row = claim("F5", "within", NO, published=YES) | {"expected": "!="}
    lines = summary.of_profile("one", [row]).splitlines()
    assert "- **As published** 1 supported (F5 within)." in lines
    assert "- **Out of band** 1 supported (F5 within)." in lines
    assert "- Decided by both, in opposite ways: F5 within." in lines


def test_the_summary_names_claims_whose_median_path_parts_from_the_mean():
    """Decided claims whose median path is not decided the same way; also as JSON holds them."""
    medians = {"F2": NO, "F4": YES, "F5": OPEN, "F6": Effect(math.nan, n=5), "F3": None}
    rows = [
        claim(finding, "within") | {"median": median and dataclasses.asdict(median)}
        for finding, median in medians.items()
    ]
    rows.append(claim("F10", "within", OPEN) | {"median": dataclasses.asdict(NO)})  # not decided
    rows = json.loads(json.dumps(rows).replace("NaN", "null"))
    line = "- **The median path does not bear out** F2 within; F5 within."
    assert line in summary.of_profile("one", rows).splitlines()


def test_the_summary_names_findings_whose_kinds_of_path_move_one_way():
    """F2: both up; F4: both down; F6: apart; F7: one is open."""
    ways = {"F2": (YES, YES), "F4": (NO, NO), "F6": (YES, NO), "F7": (YES, OPEN)}
    rows = [
        claim(finding, kind, effect)
        for finding, effects in ways.items()
        for kind, effect in zip(KINDS, effects, strict=True)
    ]
    lines = summary.of_profile("one", rows).splitlines()
    assert "- Between and within move the same way: F2, F4." in lines
    assert "- Between and within move the same way: none." in summary.of_profile("one", rows[4:])


def test_the_summary_tells_f2_along_random_directions():
    """From what 03 describes of it, the ratio and its interval, either kind."""
    rows = [claim("F2", "between"), claim("F2", "within")]
    assert "random directions" not in summary.of_profile("one", rows)
    for row, kind, factor in zip(rows, KINDS, (60, 52), strict=True):
        row["statement"] = f"{kind} classes, over training, along random_direction"
        row["text"] = f"x {factor} [30, 95] from epoch 1 to 20"
    line = "- F2 along random directions: between x 60 [30, 95]; within x 52 [30, 95]."
    assert line in summary.of_profile("one", rows).splitlines()


def test_the_summary_tells_f8_on_whitened_images():
    row = claim("F8", "gain") | {"statement": "whitened images, mean gain"}
    row["text"] = "+0.1 [0, 0.2] a doubling of the image frequency"
    line = "- F8 at equal f, image frequency doubled: whitened +0.1 [0, 0.2]."
    assert line in summary.of_profile("one", [row]).splitlines()


def test_the_summary_tells_which_wave_keeps_more_of_its_gain():
    row = claim("F5", "gain") | {"statement": "slow wave, share of its gain kept, beyond the fast"}
    told = {"+0.1 [0, 0.2] more kept": "slow +0.1 [0, 0.2]", "no estimate": "slow no estimate"}
    for row["text"], words in told.items():
        line = f"- F5, share of gain kept, less the fast's: {words}."
        assert line in summary.of_profile("one", [row]).splitlines()


@pytest.mark.parametrize("profile", results.SHIPPED)
def test_what_is_shipped_tells_what_stands_beside_its_claims(profile):
    """All of them: a statement that is renamed in its notebook would drop its line."""
    text = summary.of_profile(profile, results.shipped(profile))
    assert "\n- F2 along random directions: between x " in text
    assert [title for title in summary.ASIDES if f"\n- {title}: " not in text] == []


def test_the_summary_of_all_profiles_is_short():
    rows = results.shipped("digits")  # all primary claims
    page = (ROOT / "results" / "README.md").read_text()
    assert len(page.split()) <= 600
    before, _, rest = page.partition("<!-- findings -->")
    twice = summary.of_profile("digits", rows) + summary.of_profile("cifar10-cpu", rows)
    assert len((before + twice + rest.partition("<!-- /findings -->")[2]).split()) <= 600
    assert "Not yet executed" not in summary.of_profile("digits", rows)


def test_a_run_is_counted_under_the_first_notebook_that_reads_it(monkeypatch, tmp_path):
    seconds = {
        "02_a": {"one": 60.0, "two": 48.0},
        "03_b": {"one": 60.0, "three": 120.0, "older": None},
        "04_c": {},
        "05_d": {"untimed": None},
    }
    for name, own in seconds.items():
        data = {MIME: {"claims": [], "seconds": own}}
        cell = nbformat.v4.new_code_cell(
            outputs=[nbformat.v4.new_output("display_data", data=data)]
        )
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(results, "place_of", lambda profile: tmp_path)
    monkeypatch.setattr(pages.profiles, "PARAMS", tmp_path)
    assert pages.budget("mine") == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "budget.csv").write_text("notebook,runs,core-minutes\n02_a,3,5\n")
    assert pages.budget("mine")[4:] == [
        "| notebook | runs | timed | core-minutes | planned runs | planned core-minutes |",
        "|---|---|---|---|---|---|",
        "| 02_a | 2 | 2 | 1.8 | 3 | 5 |",
        "| 03_b | 2 | 1 | 2 |  |  |",
        "| 05_d | 1 | 0 |  |  |  |",
        "| all | 5 | 3 | 3.8 | 3 | 5 |",
    ]
