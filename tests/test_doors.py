"""Doors: a network, a dataset, an augmentation of one's own, from a file or from a module."""

import importlib
import os
import re

import numpy as np
import pytest
import torch

from lib import data, doors, models, runs
from lib.parameters import ROOT, StudyError

OWN = """
import numpy as np
import torch
from torch import nn

FACTOR = 2.0


class Network(nn.Module):
    def __init__(self, image_shape, num_classes):
        super().__init__()
        self.linear = nn.Linear(image_shape[0] * image_shape[1] * image_shape[2], num_classes)

    def forward(self, x):
        return FACTOR * self.linear(x.flatten(1))


def dataset():
    rng = np.random.default_rng(5)
    images, labels = rng.integers(0, 256, (60, 6, 6), dtype=np.uint8), np.arange(60) % 3
    return images, labels, images[:30], labels[:30]


def brighter(images, generator):
    shift = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    return images + FACTOR * shift


NOTHING = None


def raises(*arguments):
    raise ValueError("this\\nand that")


def leaves(*arguments):
    raise SystemExit(3)


def wrong(*arguments):
    return [1, 2, 3]


def smaller(images, generator):
    return images[:, :, 1:]


def no_images():
    return [np.zeros(3)] * 4
"""
FIELDS = {"network": "model", "dataset": "dataset", "augmentation": "augmentation"}
NAMES = {"network": "Network", "dataset": "dataset", "augmentation": "brighter"}
every_kind = pytest.mark.parametrize("kind", FIELDS)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes the file own_things.py, a module as well, with some text replaced."""
    monkeypatch.syspath_prepend(tmp_path)

    def file(place=".", old="", new=""):
        path = tmp_path / place / "own_things.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OWN.replace(old, new) if old else OWN)
        importlib.invalidate_caches()
        return path

    return file


@pytest.mark.parametrize("from_file", [True, False], ids=["file", "module"])
@every_kind
def test_a_run_with_something_of_ones_own(configure, store, write, kind, from_file):
    file = write()
    name = f"{file if from_file else 'own_things'}:{NAMES[kind]}"
    config = configure(**{FIELDS[kind]: name}, num_epochs=1)
    run = runs.sweep([config], "cpu")[0]
    assert np.isfinite(run.history["train_loss"]).all()
    plain = f"{'own_things.py' if from_file else 'own_things'}:{NAMES[kind]}"
    assert run.config[FIELDS[kind]] == plain
    assert str(file.parent) not in (run.path / "config.json").read_text()
    assert runs.sweep([config], "cpu")[0].record == run.record


def test_what_is_behind_a_door_is_what_is_used(write):
    file = write()
    network = models.build(f"{file}:Network", (1, 6, 6), 3, seed=4)
    again = models.build("own_things:Network", (1, 6, 6), 3, seed=4)
    weights = network.linear.weight, again.linear.weight
    assert torch.equal(*weights)  # of the seed, however it is named
    x = torch.randn(2, 1, 6, 6)
    expected = 2 * torch.nn.functional.linear(x.flatten(1), weights[0], network.linear.bias)
    torch.testing.assert_close(network(x), expected)
    dataset = data.load(f"{file}:dataset", 20)
    assert (dataset.name, dataset.num_classes) == ("own_things.py:dataset", 3)
    assert (len(dataset.x_train), len(dataset.x_test)) == (60, 20)
    merged = data.load(f"{file}:dataset+merged:1-2:0")
    assert merged.num_classes == 2
    pipeline = data.Pipeline(f"flip_crop+{file}:brighter+cutout")
    assert len(pipeline.steps) == 3
    images, generator = torch.zeros(5, 1, 6, 6), torch.Generator()
    only = data.Pipeline(f"{file}:brighter")
    made, _ = only.normalized(images, None, generator.manual_seed(1))
    shift = torch.rand(5, 1, 1, 1, generator=generator.manual_seed(1))
    torch.testing.assert_close(made, 2 * shift.expand(5, 1, 6, 6))


@pytest.mark.parametrize("kind", ["network", "augmentation"])
def test_a_changed_source_is_another_run(configure, write, kind):
    keys, places = [], [f"{write()}:{NAMES[kind]}", f"own_things:{NAMES[kind]}"]
    for factor in ("2.0", "3.0", "2.0"):
        write(old="FACTOR = 2.0", new=f"FACTOR = {factor}")
        keys.append([configure(**{FIELDS[kind]: place}).key() for place in places])
    assert keys[0] == keys[2]
    assert not set(keys[0]) & set(keys[1])


def test_a_changed_source_is_what_is_called_at_once(write):
    """In the same process, too."""
    file, x = write(), torch.ones(1, 1, 6, 6)
    first = models.build(f"{file}:Network", (1, 6, 6), 3)(x)
    write(old="FACTOR = 2.0", new="FACTOR = 3.0")
    second = models.build(f"{file}:Network", (1, 6, 6), 3)(x)
    torch.testing.assert_close(second, 1.5 * first)


def test_a_dataset_is_what_it_holds(configure, write):
    """Other images make another run, other code for the same images does not."""
    name = f"{write()}:dataset"
    first = configure(dataset=name).key()
    write(old="FACTOR = 2.0", new="FACTOR = 3.0")
    assert configure(dataset=name).key() == first
    write(old="default_rng(5)", new="default_rng(6)")
    assert configure(dataset=name).key() != first


@every_kind
def test_a_file_that_moved_makes_the_same_run(configure, store, write, kind):
    here, there = (write(place) for place in ("here", "there/below"))
    configs = [configure(**{FIELDS[kind]: f"{file}:{NAMES[kind]}"}) for file in (here, there)]
    first = runs.find_or_execute(configs[0], "cpu")
    here.unlink()
    assert runs.find_or_execute(configs[1], "cpu").record == first.record
    assert configs[1].described() == first.config


def test_a_relative_file_starts_at_the_projects_folder(write, monkeypatch, tmp_path):
    file = write()
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(file, ROOT)
    assert models.num_parameters(models.build(f"{relative}:Network", (1, 6, 6), 3)) == 36 * 3 + 3
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models.num_parameters(models.build("~/own_things.py:Network", (1, 2, 2), 3)) == 15
    with pytest.raises(StudyError, match="no such file"):
        models.build("own_things.py:Network", (1, 6, 6), 3)


@pytest.mark.parametrize(
    "name",
    ["digits", "wrn-10-1", "npz:a.npz", "folder:photos", "timm:resnet18", "torchvision:resnet18"]
    + ["cutout", "mixup:0.5", "randaugment:9", "digits+merged:1-1:0", "a b.py:x", "x.py:", ":x"],
)
def test_names_that_are_no_doors(name):
    assert not doors.is_own(name)
    assert doors.source(name) == ""


@pytest.mark.parametrize(
    "name", ["net.py:A", "../a-b/c.py:d_1", "~/net.py:A", "pkg.mod:Net", "m:n"]
)
def test_names_that_are_doors(name):
    assert doors.is_own(name)


def enter(kind, name, configure):
    """Whatever a run does at a door, up to its key; an augmentation is called as in training."""
    config = configure(**{FIELDS[kind]: name})
    config.key()
    if kind == "augmentation":
        images, generator = torch.zeros(4, 1, 8, 8), torch.Generator()
        data.Pipeline(name).normalized(images, torch.zeros(4, 10), generator)


def refused(kind, name, configure, said) -> None:
    """Entering is refused in one line: the name, then what matches `said`."""
    with pytest.raises(StudyError, match=re.escape(name) + said) as caught:
        enter(kind, name, configure)
    assert "\n" not in str(caught.value)


BAD_NAMES = {
    "nothing.py:Network": "no such file or module",
    "no_such_module_at_all:Network": "no such file or module",
    "no.such.module:Network": "no such file or module",
    "__main__:Network": "",
    "broken_package.inner:Network": "no such file or module",
    "own_things:Absent": "nothing callable of that name",
    "own_things:NOTHING": "nothing callable of that name",
    "own_things:FACTOR": "nothing callable of that name",
    "own_things:raises": "ValueError: this and that",
    "own_things:leaves": "SystemExit",
}


@pytest.mark.parametrize(("name", "said"), BAD_NAMES.items())
@every_kind
def test_a_door_that_leads_nowhere_is_one_line(configure, write, kind, name, said):
    package = write().parent / "broken_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('broken')\n")
    (package / "inner.py").write_text(OWN)
    refused(kind, name, configure, f".*{said}")


BAD_FILES = {
    "def Network(:": "SyntaxError",
    "import no_such_library": "ModuleNotFoundError",
    "raise ValueError('first\\nsecond')": "ValueError: first second",
    "import sys; sys.exit(1)": "SystemExit",
    "from . import neighbour": "ImportError",
    "x = 1 / 0": "ZeroDivisionError",
}


@pytest.mark.parametrize(("text", "said"), BAD_FILES.items())
@every_kind
def test_a_file_that_cannot_be_executed_is_one_line(configure, tmp_path, kind, text, said):
    (tmp_path / "bad.py").write_text(f"{text}\n")
    name = f"{tmp_path / 'bad.py'}:{NAMES[kind]}"
    refused(kind, name, configure, f": {said}")


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("network", "wrong", r"own_things:wrong made: got 'list'; accepted: a torch.nn.Module"),
        ("dataset", "wrong", r"own_things:wrong returned: got 'list'; accepted: x_train, y_train"),
        ("dataset", "no_images", r"own_things:no_images: x_train, y_train: got "),
        ("augmentation", "wrong", r"own_things:wrong returned: got 'list'; accepted: images \(4,"),
        ("augmentation", "smaller", r"own_things:smaller returned: got \(4, 1, 7, 8\); accepted"),
    ],
)
def test_what_a_door_returns_is_checked(configure, write, kind, name, said):
    write()
    with pytest.raises(StudyError, match=said) as caught:
        enter(kind, f"own_things:{name}", configure)
    assert "\n" not in str(caught.value)


def test_a_bad_door_stops_a_sweep_before_it_trains(configure, store, write):
    write()
    configs = [configure(), configure(model="own_things:raises")]
    with pytest.raises(StudyError, match="own_things:raises"):
        runs.sweep(configs, "cpu")
    assert runs.all_runs() == []


def test_worker_processes_enter_the_same_door(configure, store, write, monkeypatch, tmp_path):
    monkeypatch.setenv("STUDY_AT_ONCE", "2")
    file = write()
    configs = [configure(model=f"{file}:Network", seed=seed) for seed in (0, 1)]
    swept = runs.sweep(configs, "cpu")
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    for run, config in zip(swept, configs, strict=True):
        here = runs.find_or_execute(config, "cpu").weights(2)
        assert all(torch.equal(here[name], value) for name, value in run.weights(2).items())
