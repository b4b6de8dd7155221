"""Students and teachers: what a student learns from, which runs it makes, and what is refused."""

import math

import numpy as np
import pytest
import safetensors.numpy
import torch

from lib import runs, training
from lib.parameters import StudyError
from lib.training import loop

CPU = torch.device("cpu")


def keys():
    """Of the configurations whose runs are in the store."""
    return {run.key.split("-")[0] for run in runs.all_runs()}


def stamp(run):
    """What would differ had the run been made again."""
    file = run.path / "config.json"
    return run.record["created"], file.stat().st_mtime_ns, file.stat().st_ino


def softmax_of(run, epoch, images):
    """Softmax of a stored mlp-1-16 in float64, from its weights, without torch."""
    weights = safetensors.numpy.load_file(run.path / "weights.safetensors")
    names = ("1.weight", "1.bias", "3.weight", "3.bias")
    first, bias, second, last = (weights[f"{epoch}/{name}"].astype(float) for name in names)
    hidden = np.maximum(images.flatten(1).double().numpy() @ first.T + bias, 0)
    logits = hidden @ second.T + last
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7])
def test_target_mixes_labels_with_the_teachers_softmax(configure, store, weight):
    teacher = configure(num_epochs=4, seed=3)  # the last of four epochs teaches
    student = configure(teacher=teacher, true_label_weight=weight)
    run = runs.find_or_execute(teacher, "cpu")
    dataset = student.load_data()
    images = dataset.normalize(dataset.x_train[:50])
    labels = torch.nn.functional.one_hot(dataset.y_train[:50], 10).float()
    mixed = loop.distillation(student, dataset, CPU, run)(images, labels)
    expected = weight * labels.numpy() + (1 - weight) * softmax_of(run, 4, images)
    np.testing.assert_allclose(mixed.numpy(), expected, atol=1e-5)
    assert not mixed.requires_grad


def test_without_a_teacher_labels_stay(configure):
    labels, config = torch.rand(5, 10), configure()
    teach = loop.distillation(config, config.load_data(), CPU)
    assert teach(torch.rand(5, 1, 8, 8), labels) is labels


def test_a_student_without_its_teachers_run_is_refused(configure):
    student = configure(teacher=configure(seed=3), true_label_weight=0.5)
    with pytest.raises(StudyError, match=r"^teacher: got no run of it"):
        student.execute(CPU)


def test_training_sees_the_mixed_target(configure, store, monkeypatch):
    """The teacher, in eval mode, is shown the augmented batch that the student sees, and what it
    says is what the student learns."""
    teacher = configure(seed=3)
    run = runs.find_or_execute(teacher, "cpu")
    modes, batches = [], []
    forward = torch.nn.Sequential.forward

    def watched(self, x):
        modes.append(self.training)
        return forward(self, x)

    class Watched(training.Gradients):
        def __call__(self, images, labels):
            batches.append((images, labels))
            return super().__call__(images, labels)

    monkeypatch.setattr(torch.nn.Sequential, "forward", watched)
    monkeypatch.setattr(loop, "Gradients", Watched)
    taught = {"teacher": teacher, "true_label_weight": 0.25, "augmentation": "flip_crop"}
    configure(**taught, num_epochs=1, num_train=64).execute(CPU, run)
    assert modes[:2] == [False, True]
    ((images, labels),) = batches
    hard = (labels.double().numpy() - 0.75 * softmax_of(run, 2, images)) / 0.25
    np.testing.assert_allclose(np.sort(hard, axis=1), [[0] * 9 + [1]] * 64, atol=1e-4)


def test_a_student_follows_a_teacher_that_knows_nothing(configure, store):
    """With no weight on the labels the entropy of the teacher's softmax bounds the training
    loss."""
    teacher = configure(num_epochs=1, lr=1e-9, seed=7)
    student = configure(teacher=teacher, true_label_weight=0.0, num_epochs=6)
    history = runs.find_or_execute(student, "cpu").arrays()
    dataset = teacher.load_data()
    images = dataset.normalize(dataset.x_train)
    p = softmax_of(runs.find_or_execute(teacher, "cpu"), 1, images)
    entropy = -(p * np.log(p)).sum(1).mean()
    assert entropy > 0.9 * math.log(10)
    assert history["train_loss"].min() > entropy - 0.02  # an epoch leaves its last batch out
    assert history["train_loss"][-1] < entropy + 0.1
    assert history["test_accuracy"][-1] < 0.4


def test_teacher_is_trained_if_missing_and_reused_if_there(configure, store):
    """Also where another sweep made it, as a baseline."""
    teacher = configure(seed=3)
    students = [configure(seed=seed, teacher=teacher, true_label_weight=0.5) for seed in (0, 1)]
    runs.find_or_execute(students[0], "cpu")
    assert keys() == {teacher.key(), students[0].key()}
    made = stamp(runs.find(teacher))
    runs.find_or_execute(students[1], "cpu")
    runs.sweep([*students, teacher], "cpu")
    assert stamp(runs.find(teacher)) == made
    assert keys() == {config.key() for config in (teacher, *students)}


def test_each_generation_is_taught_by_the_one_before(chain, store):
    configs = chain(3)
    last = runs.find_or_execute(configs[-1], "cpu")
    generations = [runs.find(config) for config in configs]
    assert keys() == {config.key() for config in configs}
    assert last.key == generations[-1].key
    assert [run.config["generation"] for run in generations] == [0, 1, 2, 3]
    assert all(run.history["test_accuracy"].iloc[-1] > 0.3 for run in generations)
    dataset = configs[0].load_data()
    images, nothing = dataset.normalize(dataset.x_test[:20]), torch.zeros(20, 10)
    for teacher, student in zip(generations[:-1], configs[1:], strict=True):
        taught = loop.distillation(student, dataset, CPU, teacher)(images, nothing) / 0.5
        np.testing.assert_allclose(taught, softmax_of(teacher, 2, images), atol=1e-5)


@pytest.mark.parametrize(("own", "teachers"), [(3, 4), (4, 3)])
def test_teacher_of_other_classes_is_refused_before_anything_is_trained(
    configure, store, npz, own, teachers
):
    teacher = configure(dataset=npz("theirs", teachers))
    student = configure(dataset=npz("own", own), teacher=teacher, true_label_weight=0.5)
    said = f"^teacher: got one of {teachers} classes; accepted: {own}"
    for attempt in (runs.find_or_execute, lambda config: runs.sweep([teacher, config], "cpu")):
        with pytest.raises(StudyError, match=said) as caught:
            attempt(student)
        assert "\n" not in str(caught.value)
        assert keys() == set()


def test_teacher_of_other_data_with_as_many_classes(configure, store, npz):
    """For instance of a part of the data, or of the same images with other labels."""
    teacher = configure(dataset=npz("theirs", seed=1))
    student = configure(dataset=npz("own"), teacher=teacher, true_label_weight=0.5)
    runs.sweep([student], "cpu")
    assert keys() == {teacher.key(), student.key()}


def test_a_teacher_that_cannot_be_had_stops_the_sweep_first(configure, store):
    nobody = configure(model="mlp-0-1")
    students = [configure(), configure(teacher=nobody, true_label_weight=0.5)]
    with pytest.raises(StudyError, match=r"^model: "):
        runs.sweep(students, "cpu")
    assert keys() == set()
