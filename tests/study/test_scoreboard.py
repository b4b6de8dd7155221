"""The texts made of claims: the scoreboard, the page of a profile, the README's table."""

from lib.study import results


def claim(finding, verdict, headline="", notebook="02_noise_fitting", **fields):
    row = {"notebook": notebook, "finding": finding, "measure": "published", "verdict": verdict}
    row |= {"estimate": -0.51234, "low": -1.0, "high": 0.0, "n": 3, "headline": headline}
    return row | {"statement": f"{finding} is {verdict}"} | fields


def test_a_line_a_claim_and_the_count_of_verdicts():
    rows = [claim("F1", "supported"), claim("F2", "inconclusive", estimate=None, low=None, n=0)]
    text = results.lines([*rows, rows[0]]).splitlines()
    cells = "02_noise_fitting F1 published supported -0.512 [-1, 0] 3 F1 is supported"
    assert " ".join(text[2].split()) == cells
    assert "? [?, 0]" in text[3]
    assert text[-1] == "3 claims: 2 supported, 1 inconclusive"


def test_page_of_a_profile():
    """What profile it is, then a line a headline, its measures side by side, then the rest."""
    rows = [
        claim("F1", "supported", "falls with frequency|published"),
        claim("F1", "contradicted", "falls with frequency|corrected, logits", estimate=None),
        claim("F2", "inconclusive", "rises|corrected", n=2),
        claim("F2", "supported"),
    ]
    text = results.profile_page("cifar10-cpu", rows).splitlines()
    assert text[0] == "# Results of profile cifar10-cpu"
    assert text[2].startswith("Real CIFAR-10 for a course without GPUs")
    interval = "[-1, 0], n ="
    table = [line for line in text if line.startswith("|")]
    assert table == [
        "| | claim | published | corrected | corrected, logits |",
        "|---|---|---|---|---|",
        f"| F1 | falls with frequency | supported -0.512 {interval} 3 |  "
        f"| contradicted ? {interval} 3 |",
        f"| F2 | rises |  | inconclusive -0.512 {interval} 2 |  |",
    ]
    assert text[-1] == "1 other claims: `study claims --profile cifar10-cpu` lists them all."


def marks(**verdicts):
    """The marks of F1, by column, of claims with these verdicts: published, corrected, logits."""
    columns = {"published": "published", "corrected": "corrected", "logits": "corrected, logits"}
    rows = [
        claim("F1", verdict, f"line {number}|{columns[column]}")
        for column in verdicts
        for number, verdict in enumerate(verdicts[column])
    ]
    rows.append(claim("F1", "contradicted"))  # no headline
    table = results.findings_table({"one": rows}).splitlines()
    line = next(line for line in table if line.startswith("| F1 "))
    return [cell.strip() for cell in line.split("|")[3:-1]]


def test_mark_of_a_finding():
    yes, no, open_ = "supported", "contradicted", "inconclusive"
    assert marks() == ["", ""]
    assert marks(published=[yes, yes]) == ["✔", ""]
    assert marks(published=[no], corrected=[open_]) == ["✘", "?"]
    assert marks(published=[yes, no]) == ["◐", ""]
    assert marks(published=[yes, open_], logits=[no, open_]) == ["◐", "◐"]
    assert marks(corrected=[yes], logits=[no]) == ["", "◐"]
    assert marks(corrected=[yes], logits=[yes]) == ["", "✔"]


def test_table_of_findings():
    """A line a finding with links to its notebooks; two columns a profile."""
    one = [
        claim("F1", "supported", "a|published"),
        claim("F10", "contradicted", "b|corrected", "11_class_diversity"),
    ]
    other = [claim("F10", "inconclusive", "c|corrected, logits", "12_imagenet")]
    table = results.findings_table({"one": one, "other": other}).splitlines()
    head = "| | finding | one, published | one, corrected | other, published | other, corrected |"
    assert table[0] == head
    assert len({line.count("|") for line in table}) == 1
    findings = [line.split("|")[1].split()[0] for line in table[2:]]
    assert findings == [f"F{number}" for number in range(1, 12)]
    assert table[2].startswith("| F1 [02](notebooks/02_noise_fitting.ipynb) | low-frequency")
    assert table[2].endswith(" | ✔ |  |  |  |")
    links = "[11](notebooks/11_class_diversity.ipynb) [12](notebooks/12_imagenet.ipynb)"
    assert table[11].startswith(f"| F10 {links} | ")
    assert table[11].endswith(" |  | ✘ |  | ? |")
    assert table[12].endswith(" |  |  |  |  |")
