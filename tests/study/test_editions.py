"""Editions of the notebooks: what students get and do not get, what instructors get; checks fail on
the stub and pass on the solution."""

import ast
import re

import nbformat
import pytest

from lib.parameters import ROOT
from study import editions, profiles, verdicts

NAMES = profiles.notebook_names()
SOURCES = {name: nbformat.read(profiles.notebook_file(name), 4) for name in NAMES}
KINDS = {"predict", "implement", "vary", "think", "extend"}
each = pytest.mark.parametrize("name", NAMES)


def tagged(notebook, tag) -> list:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def exercises(notebook) -> dict[str, list]:
    """The cells of each exercise, the one of its text first."""
    found, current = {}, None
    for cell in notebook.cells:
        if heading := editions.HEADING.match(cell.source):
            current = found.setdefault(heading[1], [cell])
        elif editions.PARTS & set(cell.metadata.get("tags", [])):
            current.append(cell)
        else:
            current = None
    return found


def parts(cells) -> list[str]:
    return [(editions.PARTS & set(cell.metadata.tags)).pop() for cell in cells[1:]]


@each
def test_exercises_are_three_to_five_of_named_kinds(name):
    found = exercises(SOURCES[name])
    number = int(name.split("_")[0])
    assert list(found) == [f"Exercise {number}.{k}" for k in range(1, len(found) + 1)]
    assert 3 <= len(found) <= 5
    assert len(tagged(SOURCES[name], "exercise")) == len(found)
    kinds = [editions.HEADING.match(cells[0].source)[2] for cells in found.values()]
    assert kinds[:2] == ["predict", "implement"]
    assert {"predict", "implement", "vary", "think"} <= set(kinds) <= KINDS
    for kind, cells in zip(kinds, found.values(), strict=True):
        words = {"predict": ["hint", "answer"], "implement": ["hint", "solution", "check"]}
        plain = (["hint", "solution", "answer"], ["hint", "answer"])
        assert parts(cells) in ([words[kind]] if kind in words else plain)
        assert cells[0].metadata.tags[0] == "exercise"


@each
def test_a_prediction_stands_before_its_figure(name):
    notebook = SOURCES[name]
    (place,) = [i for i, cell in enumerate(notebook.cells) if "(predict)" in cell.source[:40]]
    code = [cell for cell in notebook.cells[place:] if cell.cell_type == "code"][:5]
    shown = ["image/png" in out.get("data", {}) for cell in code for out in cell.outputs]
    assert any(shown)
    heads = [i for i, cell in enumerate(notebook.cells) if "## Exercises" in cell.source]
    assert place < heads[0]


@each
def test_check_fails_on_the_stub_and_passes_on_the_solution(name):
    """Run as they stand, without the rest of the notebook."""
    cells = next(c for c in exercises(SOURCES[name]).values() if "check" in parts(c))
    _, _, solution, check = cells
    namespace = {}
    exec(solution.source, namespace)
    exec(check.source, namespace)
    stubbed = editions.stub(solution.source, "Exercise 1.1")
    assert editions.BEGIN not in stubbed
    assert "# " in stubbed  # a comment that says how to begin
    namespace = {}
    exec(stubbed, namespace)
    with pytest.raises(NotImplementedError, match=r"Exercise 1\.1"):
        exec(check.source, namespace)


@each
def test_checks_see_more_than_a_missing_solution(name):
    """A function that gives a number whatever it is given does not pass; assertions say why."""
    cells = next(c for c in exercises(SOURCES[name]).values() if "check" in parts(c))
    function = re.search(r"^def (\w+)", cells[2].source, re.MULTILINE)[1]
    messages = []
    for wrong in (lambda *given: 0.25, lambda *given: (0.25, 0.25)):
        namespace = {}
        exec(cells[2].source, namespace)
        namespace[function] = wrong
        try:
            exec(cells[3].source, namespace)
        except (AssertionError, TypeError, ValueError, IndexError, AttributeError) as error:
            messages.append(error)
    assert len(messages) == 2
    asserts = [
        node for node in ast.walk(ast.parse(cells[3].source)) if isinstance(node, ast.Assert)
    ]
    assert asserts
    assert all(node.msg is not None for node in asserts)


def lines(cells) -> set[str]:
    """The lines of cells that say something."""
    found = (line.strip() for cell in cells for line in cell.source.splitlines())
    return {line for line in found if len(line) > 24 and not line.startswith("###")}


@each
def test_student_edition_has_no_solution_answer_or_verdict(name):
    source = SOURCES[name]
    made = editions.student(source)
    removed = [*tagged(source, "answer"), *tagged(source, "verdict")]
    removed += [cell for cell in tagged(source, "solution") if editions.BEGIN not in cell.source]
    stubs = [cell for cell in tagged(source, "solution") if editions.BEGIN in cell.source]
    kept = [cell for cell in source.cells if cell not in removed + stubs]
    secret = lines(removed) - lines(kept)
    for cell in stubs:
        inside = re.search(rf"{editions.BEGIN}\n(.*?){editions.END}", cell.source, re.DOTALL)[1]
        secret |= {line.strip() for line in inside.splitlines() if len(line.strip()) > 12}
    text = nbformat.writes(made)
    plain = "\n".join(cell.source for cell in made.cells)
    assert secret
    assert [line for line in secret if line in plain] == []
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "application/vnd" not in text
    assert "image/png" not in text


@each
def test_student_edition_has_all_the_rest_and_blanks(name):
    source, made = SOURCES[name], editions.student(SOURCES[name])
    nbformat.validate(made)
    assert [cell.id for cell in made.cells] == [cell.id for cell in source.cells]
    for tag in ("exercise", "hint", "check", "parameters"):
        texts = ([cell.source for cell in tagged(one, tag)] for one in (source, made))
        unlinked = (re.sub(r"\[([^]]+)\]\(\w+\.py\)", r"\1", text) for text in next(texts))
        for text, its in zip(unlinked, next(texts), strict=True):
            assert re.sub(r" \(\w+\.py of the study\)", "", its) == text
    blanks = [cell.source for cell in tagged(made, "answer")]
    assert blanks.count("*Your prediction:*") == 1
    assert blanks.count("*Your answer:*") == len(blanks) - 1 >= 1
    assert all(cell.source.startswith("*Your verdict") for cell in tagged(made, "verdict"))
    assert len(tagged(made, "verdict")) >= 1
    raised = [cell for cell in tagged(made, "solution") if "NotImplementedError" in cell.source]
    assert len(raised) == 1
    compile("\n".join(cell.source for cell in tagged(made, "solution")), name, "exec")
    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    files = {link for link in links if not link.startswith("http") and ".ipynb" not in link}
    assert {file for file in files if re.fullmatch(r"[\w./-]+", file)} == set()


@pytest.fixture(scope="module")
def judged():
    return {profile: verdicts.judge(editions.results.shipped(profile)) for profile in ("digits",)}


@each
def test_instructor_edition_adds_notes_and_changes_nothing(name, judged):
    source = SOURCES[name]
    text = (ROOT / "notebooks" / "instructor" / f"{name}.md").read_text()
    made = editions.instructor(source, text, editions.differences(name, judged))
    nbformat.validate(made)
    notes = tagged(made, "instructor")
    assert [cell for cell in made.cells if cell not in notes] == source.cells
    for place, cell in enumerate(made.cells):
        if found := re.match(r"#### For the instructor: (Exercise \S+)\n", cell.source):
            own = exercises(source)[found[1]][-1]
            assert made.cells[place - 1] == own
    headings = [re.match(r"#### For the instructor: (.+)", cell.source)[1] for cell in notes]
    front = ["Misconceptions", "Why digits and CIFAR-10 differ", "Digits and CIFAR-10"]
    assert sorted(headings) == sorted([*front, *exercises(source)])
    assert made.cells[1:4] == [cell for cell in notes if "Exercise" not in cell.source[:40]]
    rubric = [cell.source for cell in notes if "Exercise" in cell.source[:40]]
    assert all("2 points" in one or "By the check" in one for one in rubric)


def test_differences_are_those_of_the_profiles_and_the_scoreboard(judged):
    table = editions.differences("05_training_examples", judged)
    assert "<td>digits</td>" in table
    assert "<td>cifar10</td>" in table
    assert "[0.02, 0.05, 0.1, 0.3, 1.0]" in table
    (row, _) = [row for row in judged["digits"] if row["notebook"] == "05_training_examples"]
    assert f"{row['verdict']}: " in table
    assert "seeds" not in editions.differences("02_noise_fitting", judged)  # they are the same


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_command_writes_an_edition(study, tmp_path, edition):
    status, out, _ = study(edition, tmp_path / "out", "05", "14_your_model")
    assert status == 0
    assert "2 files" in out
    files = sorted((tmp_path / "out").iterdir())
    assert [file.stem for file in files] == ["05_training_examples", "14_your_model"]
    made = nbformat.read(files[0], 4)
    assert bool(tagged(made, "instructor")) == (edition == "instructor")
    assert ("BEGIN SOLUTION" in files[0].read_text()) == (edition == "instructor")


@pytest.mark.parametrize("edition", ["student", "instructor", "slides"])
def test_command_refuses_sources_and_unknown_notebooks(study, tmp_path, edition):
    for given, word in (((ROOT / "notebooks",), "out"), ((tmp_path, "77"), "notebook: got '77'")):
        status, _, err = study(edition, *given)
        assert (status, len(err.strip().splitlines())) == (2, 1)
        assert word in err
    assert list(tmp_path.iterdir()) == []
