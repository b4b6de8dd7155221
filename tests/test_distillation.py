"""Students and teachers: what a student learns from, which runs are made, and what is refused."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch

from lib import runs, step, training
from lib.parameters import StudyError

CPU = torch.device("cpu")


def visible(store):
    return {path.name for path in store.iterdir() if not path.name.startswith(".")} if store.exists() else set()


def stamp(run):
    """What would differ had the run been made again."""
    return run.record["created"], (run.path / "config.json").stat().st_mtime_ns, run.path.stat().st_ino


@pytest.fixture
def chain(configure):
    """A function that makes the configurations of generation 0, 1, ... up to `generations`."""

    def configurations(generations, weight=0.5, **fields):
        found = [configure(**fields)]
        for _ in range(generations):
            found.append(configure(**fields, teacher=found[-1], true_label_weight=weight))
        return found

    return configurations


def softmax_of(run, epoch, images):
    """Softmax of a stored mlp-1-16 in float64, from its weights, without torch."""
    weights = safetensors.numpy.load_file(run.path / "weights.safetensors")
    first, bias, second, last = (weights[f"{epoch}/{name}"].astype(float)
                                 for name in ("1.weight", "1.bias", "3.weight", "3.bias"))  # fmt: skip
    logits = np.maximum(images.flatten(1).double().numpy() @ first.T + bias, 0) @ second.T + last
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7])
def test_target_mixes_labels_with_the_teachers_softmax(configure, store, weight):
    teacher = configure(num_epochs=4, seed=3)  # the last of four epochs teaches
    student = configure(teacher=teacher, true_label_weight=weight)
    run = runs.find_or_execute(teacher, "cpu")
    dataset = student.load_data()
    images = dataset.normalize(dataset.x_train[:50])
    labels = torch.nn.functional.one_hot(dataset.y_train[:50], 10).float()
    found = training.distillation(student, dataset, CPU, run)(images, labels)
    expected = weight * labels.numpy() + (1 - weight) * softmax_of(run, 4, images)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert not found.requires_grad


def test_a_student_without_its_teachers_run_is_refused(configure):
    student = configure(teacher=configure(seed=3), true_label_weight=0.5)
    with pytest.raises(StudyError, match=r"^teacher: got no run of it"):
        student.execute(CPU)


def test_without_a_teacher_labels_stay(configure):
    labels = torch.rand(5, 10)
    assert training.distillation(configure(), configure().load_data(), CPU)(torch.rand(5, 1, 8, 8), labels) is labels


def test_training_sees_the_mixed_target(configure, store, monkeypatch):
    """The teacher is shown the augmented batch, and what it says reaches the loss."""
    teacher = configure(seed=3)
    run = runs.find_or_execute(teacher, "cpu")
    seen, wanted = [], []
    forward, loss = torch.nn.Sequential.forward, step.cross_entropy

    def watched(self, x):
        seen.append((self.training, x))
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Sequential, "forward", watched)
    monkeypatch.setattr(step, "cross_entropy", lambda z, y: wanted.append(y) or loss(z, y))
    student = configure(teacher=teacher, true_label_weight=0.25, num_epochs=1, num_train=64, augmentation="flip_crop")
    student.execute(CPU, run)
    (taught_in, taught), (trained_in, trained) = seen[:2]
    assert (taught_in, trained_in) == (False, True)
    assert torch.equal(taught, trained)
    hard = (wanted[0].double().numpy() - 0.75 * softmax_of(run, 2, taught)) / 0.25
    np.testing.assert_allclose(np.sort(hard, axis=1), np.sort(np.eye(10)[[0] * 64], axis=1), atol=1e-4)


def test_teacher_is_trained_if_missing_and_reused_if_there(configure, store):
    teacher = configure(seed=3)
    students = [configure(seed=seed, teacher=teacher, true_label_weight=0.5) for seed in (0, 1)]
    first = runs.find_or_execute(students[0], "cpu")
    assert visible(store) == {runs.key_of(teacher), first.key}
    made = stamp(runs.open_run(store / runs.key_of(teacher)))
    second = runs.find_or_execute(students[1], "cpu")
    assert visible(store) == {runs.key_of(teacher), first.key, second.key}
    runs.sweep([*students, teacher], "cpu")
    assert stamp(runs.open_run(store / runs.key_of(teacher))) == made
    assert len(visible(store)) == 3


def test_a_baseline_of_another_sweep_is_the_teacher(configure, store):
    baseline = configure()
    made = stamp(runs.sweep([baseline], "cpu")[0])
    runs.sweep([configure(teacher=configure(), true_label_weight=0.5)], "cpu")
    assert stamp(runs.sweep([baseline], "cpu")[0]) == made
    assert len(visible(store)) == 2


def test_three_generations_chain(chain, store):
    configs = chain(3)
    run = runs.find_or_execute(configs[-1], "cpu")
    assert visible(store) == set(map(runs.key_of, configs))
    made = [runs.open_run(store / runs.key_of(config)) for config in configs]
    assert [one.config["generation"] for one in made] == [0, 1, 2, 3]
    assert made[-1].key == run.key
    assert all(one.history["test_accuracy"].iloc[-1] > 0.3 for one in made)
    dataset = configs[0].load_data()
    images, nothing = dataset.normalize(dataset.x_test[:20]), torch.zeros(20, 10)
    for teacher, student in zip(made, configs[1:], strict=False):  # each is taught by the one before
        taught = training.distillation(student, dataset, CPU, teacher)(images, nothing) / 0.5
        np.testing.assert_allclose(taught, softmax_of(teacher, 2, images), atol=1e-5)


def test_sweep_executes_what_is_needed_first(chain, store, monkeypatch):
    calls, execute_all = [], runs.parallel_map

    def watched(function, tasks, *rest):
        calls.append([key for *_, key in tasks])
        return execute_all(function, tasks, *rest)

    monkeypatch.setattr(runs, "parallel_map", watched)
    first, second = chain(3), chain(2, seed=1)
    runs.sweep([first[3], second[2], first[3], first[1]], "cpu")
    order = [key for call in calls for key in call]
    assert sorted(order) == sorted(set(order))  # nothing is executed twice
    assert set(order) == visible(store) == {runs.key_of(config) for config in first + second}
    step = {key: number for number, call in enumerate(calls) for key in call}
    for generations in (first, second):
        steps = [step[runs.key_of(config)] for config in generations]
        assert steps == sorted(set(steps))  # a teacher in an earlier call than its student
    calls.clear()
    runs.sweep([first[3], second[2]], "cpu")
    assert not any(calls)


def test_sweep_in_workers_gives_the_students_of_this_process(chain, store, monkeypatch, tmp_path):
    configs = [*chain(1), *chain(1, seed=1)]
    swept = [run.history["train_loss"].tolist() for run in runs.sweep(configs, "cpu")]
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    assert swept == [runs.find_or_execute(config, "cpu").history["train_loss"].tolist() for config in configs]


def npz(tmp_path, classes):
    rng = np.random.default_rng(classes)
    images, labels = rng.integers(0, 256, (24, 4, 4), dtype=np.uint8), np.arange(24) % classes
    file = tmp_path / f"{classes}.npz"
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return f"npz:{file}"


@pytest.mark.parametrize(("own", "teachers"), [(3, 4), (4, 3)])
def test_teacher_of_other_classes_is_refused(configure, store, tmp_path, own, teachers):
    teacher = configure(dataset=npz(tmp_path, teachers))
    student = configure(dataset=npz(tmp_path, own), teacher=teacher, true_label_weight=0.5)
    with pytest.raises(StudyError, match=f"^teacher: got one of {teachers} classes; accepted: {own}") as caught:
        runs.find_or_execute(student, "cpu")
    assert "\n" not in str(caught.value)
    assert visible(store) == set()
    with pytest.raises(StudyError, match=r"^teacher: "):
        runs.sweep([student], "cpu")
    assert visible(store) == set()


def test_teacher_of_other_data_with_as_many_classes(configure, store, tmp_path):
    """For instance of a part of the data, or of the same images with other labels."""
    other = npz(tmp_path, 3)
    np.savez(tmp_path / "mine.npz", **{name: array[::-1] for name, array in np.load(tmp_path / "3.npz").items()})
    teacher = configure(dataset=other)
    runs.sweep([configure(dataset=f"npz:{tmp_path / 'mine.npz'}", teacher=teacher, true_label_weight=0.5)], "cpu")
    assert len(visible(store)) == 2


@pytest.mark.parametrize("weight", [1, 1.0])
def test_teacher_without_weight_is_refused(configure, weight):
    refused = r"^true_label_weight: got .*accepted: below 1 with a teacher, else 1"
    with pytest.raises(StudyError, match=refused) as caught:
        configure(teacher=configure(), true_label_weight=weight)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight", [0, 0.5, 0.99])
def test_weight_without_a_teacher_is_refused(configure, weight):
    with pytest.raises(StudyError, match=r"^true_label_weight: got .*accepted: below 1 with a teacher, else 1"):
        configure(true_label_weight=weight)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), "0.5"])
def test_weight_out_of_its_range_is_refused(configure, weight):
    with pytest.raises(StudyError, match=r"^true_label_weight: got .*in \[0, 1\]|accepted: float"):
        configure(teacher=configure(), true_label_weight=weight)


CHANGES = [{"seed": 1}, {"lr": 0.2}, {"num_epochs": 3}, {"model": "mlp-1-17"}, {"weight_decay": 0.0},
           {"augmentation": "flip_crop"}, {"num_train": 100}, {"num_test": 100}]  # fmt: skip


def test_key_goes_with_the_teachers_configuration(configure, chain):
    def student_of(teacher):
        return runs.key_of(configure(teacher=teacher, true_label_weight=0.5))

    keys = [student_of(configure(**change)) for change in CHANGES]
    keys += [student_of(configure()), student_of(chain(1)[-1]), student_of(chain(1, weight=0.4)[-1]),
             student_of(chain(2)[-1]), runs.key_of(configure())]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert student_of(configure(lr=0.1, num_train=None)) == student_of(configure())  # defaults that are given
    assert student_of(configure(weight_decay=0)) == student_of(configure(weight_decay=0.0))


def test_key_does_not_depend_on_where_the_teachers_data_lies(configure, tmp_path):
    keys = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        teacher = configure(dataset=npz(tmp_path / place, 3))
        keys.append(runs.key_of(configure(dataset=npz(tmp_path / place, 3), teacher=teacher, true_label_weight=0.5)))
    assert keys[0] == keys[1]


def test_a_teacher_that_cannot_be_had_stops_the_sweep_first(configure, store):
    students = [configure(), configure(teacher=configure(model="mlp-0-1"), true_label_weight=0.5)]
    with pytest.raises(StudyError, match=r"^model: "):
        runs.sweep(students, "cpu")
    assert visible(store) == set()


@pytest.mark.parametrize("generations", [0, 1, 3])
def test_description_is_flat(chain, store, generations, tmp_path):
    config = chain(generations, dataset=npz(tmp_path, 3))[-1]
    described = config.described()
    assert described["generation"] == generations
    assert described["true_label_weight"] == (0.5 if generations else 1.0)
    assert described["dataset"] == "npz:3.npz"
    assert "teacher" not in described
    assert all(value is None or isinstance(value, bool | int | float | str) for value in described.values())
    assert json.loads(json.dumps(described)) == described
    run = runs.find_or_execute(config, "cpu")
    assert json.loads((run.path / "config.json").read_text())["config"] == described
    assert set(run.history["generation"]) == {generations}
