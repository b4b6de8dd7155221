"""What a training run is: which fields are refused, and which runs are one."""

import dataclasses
import json
import math

import pytest

from lib import training
from lib.parameters import StudyError
from lib.training import TrainingConfig

RADIAL = {"wave": "radial", "frequency": 0.1, "amplitude": 0.3}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"frequency": -0.1}, "frequency"),
        (RADIAL | {"amplitude": 0.6}, "amplitude"),
        (RADIAL | {"amplitude": 0}, "amplitude"),  # a wave without amplitude
        ({"amplitude": 0.3}, "amplitude"),  # an amplitude without wave
        ({"lr": "0.1"}, "lr"),
        ({"lr": 0.0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"num_epochs": 2.0}, "num_epochs"),
        ({"num_epochs": True}, "num_epochs"),
        ({"num_epochs": 0}, "num_epochs"),
        ({"num_train": 0}, "num_train"),
        ({"num_test": 0}, "num_test"),
        ({"batch_size": 0}, "batch_size"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1e-4}, "weight_decay"),
        ({"grad_clip": 0.0}, "grad_clip"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"dataset": 3}, "dataset"),
        ({"wave_on": "both"}, "wave_on"),
        ({"augmentation": "flip"}, "augmentation"),
        ({"eval_every": 0}, "eval_every"),
        ({"precision": "fp16"}, "precision"),
        ({"true_label_weight": 0}, "true_label_weight"),  # a weight without teacher
        ({"true_label_weight": 0.99}, "true_label_weight"),
        ({"start": -1}, "start"),
        ({"start": None}, "start"),
        ({"wave_class": -1}, "wave_class"),
        ({"wave_class": 1.0}, "wave_class"),
    ],
)
def test_bad_fields_are_refused_when_the_configuration_is_made(configure, fields, named):
    with pytest.raises(StudyError, match=f"^{named}: got .*; accepted: ") as caught:
        configure(**fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weight", "accepted"),
    [
        (1, "below 1 with a teacher, else 1"),
        (1.0, "below 1 with a teacher, else 1"),
        (-0.1, "float in [0, 1]"),
        (1.1, "float in [0, 1]"),
        (math.nan, "float in [0, 1]"),
        ("0.5", "float"),
    ],
)
def test_weight_on_the_labels_beside_a_teacher(configure, weight, accepted):
    with pytest.raises(StudyError) as caught:
        configure(teacher=configure(), true_label_weight=weight)
    assert str(caught.value).startswith("true_label_weight: got ")
    assert str(caught.value).endswith(f"; accepted: {accepted}")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"num_train": 1298}, "num_train"),
        ({"num_test": 501}, "num_test"),
        ({"dataset": "mnist"}, "dataset"),
        ({"dataset": "npz:absent.npz"}, "dataset"),
        ({"model": "mlp-1"}, "model"),
        ({"model": "wrn-11-1"}, "model"),
        (RADIAL | {"wave": "square"}, "wave"),
        (RADIAL | {"wave": "fourier:8,8"}, "fourier_basis_image"),
        (RADIAL | {"frequency": 0}, "frequency"),
        (RADIAL | {"wave_class": 10}, "wave_class"),
    ],
)
def test_what_the_data_or_the_network_refuse_is_refused_before_the_key_exists(
    configure, fields, named
):
    """So that a sweep stops before it trains anything."""
    with pytest.raises(StudyError, match=f"^{named}: ") as caught:
        configure(**fields).key()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["dataset", "model", "seed"])
def test_required_fields(missing):
    fields = {"dataset": "digits", "model": "mlp-1-16", "seed": 0}
    del fields[missing]
    with pytest.raises(TypeError, match=missing):
        TrainingConfig(**fields)


@pytest.mark.parametrize(
    ("epochs", "kept"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])],
)
def test_checkpoint_epochs(epochs, kept):
    assert training.checkpoint_epochs(epochs) == kept


def test_key_ignores_defaults_that_are_given(configure):
    given = {"num_train": None, "batch_size": 256, "lr": 0.1, "wave": "none", "precision": "auto"}
    assert configure(**given).key() == configure().key()


CHANGES = [
    {"model": "mlp-1-17"},
    {"seed": 1},
    {"num_epochs": 3},
    {"num_train": 100},
    {"num_test": 100},
    {"batch_size": 128},
    {"lr": 0.2},
    {"momentum": 0.8},
    {"weight_decay": 1e-3},
    {"grad_clip": 1.0},
    {"augmentation": "flip_crop"},
    {"wave_on": "clean"},
    {"start": 1},
    {"eval_every": 2},
    {"precision": "bf16"},
    {"precision": "fp32"},
    RADIAL,
    RADIAL | {"wave": "f"},
    RADIAL | {"frequency": 0.2},
    RADIAL | {"amplitude": 0.4},
    RADIAL | {"wave_class": 3},
]


def test_key_changes_with_any_field_of_the_run_or_of_its_teacher(configure, chain):
    configs = [configure(), *(configure(**change) for change in CHANGES)]
    taught = [configure(teacher=teacher, true_label_weight=0.5) for teacher in configs]
    taught += [*chain(1, 0.4)[1:], *chain(3)[2:]]
    keys = [config.key() for config in configs + taught]
    assert len(set(keys)) == len(keys)
    changed = {name for change in CHANGES for name in change}
    others = {"dataset", "teacher", "true_label_weight"}
    assert changed | others == {field.name for field in dataclasses.fields(TrainingConfig)}


def test_key_changes_with_version_and_kind(configure, monkeypatch):
    keys = [configure().key()]
    for name, value in (("version", TrainingConfig.version + 1), ("kind", "other")):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingConfig, name, value)
            keys.append(configure().key())
    assert len(set(keys)) == 3


def test_key_goes_with_the_content_of_the_data_and_not_with_its_place(configure, npz):
    names = [npz("here/a"), npz("there/b"), npz("there/c", seed=1)]
    here, there, other = (configure(dataset=name) for name in names)
    assert here.key() == there.key() != other.key()
    taught = [configure(dataset=names[0], teacher=t, true_label_weight=0.5) for t in (here, there)]
    assert taught[0].key() == taught[1].key()


@pytest.mark.parametrize("generations", [0, 1, 3])
def test_description_is_flat_and_names_no_folder(chain, npz, generations):
    config = chain(generations, dataset=npz("mine"))[-1]
    described = config.described()
    assert described["generation"] == generations
    assert described["true_label_weight"] == (0.5 if generations else 1.0)
    assert described["dataset"] == "npz:mine.npz"
    fields = {field.name for field in dataclasses.fields(config)} - {"teacher"}
    assert described["fingerprint"] == config.load_data().fingerprint
    assert described.keys() == fields | {"fingerprint", "generation"}
    assert json.loads(json.dumps(described)) == described


def test_a_student_needs_its_teacher(chain):
    first, second, third = chain(2)
    assert first.needs() == []
    assert second.needs() == [first]
    assert third.needs() == [second]


def test_the_control_of_a_wave_differs_in_its_wave_alone(configure, chain):
    """Labels smoothed as much, of the same class alone, by the same seed and teacher."""
    fields = {"wave_on": "clean", "wave_class": 4, "weight_decay": 0.1, "seed": 3, "start": 2}
    teacher = {"teacher": chain(1)[-1], "true_label_weight": 0.5}
    config = configure(**RADIAL, **fields, **teacher)
    control = config.control()
    expected = {"wave": "uniform", "frequency": 0.0, "wave_on": "augmented"}
    assert vars(control) == vars(config) | expected
    assert control == dataclasses.replace(config, frequency=0.7, wave="f").control()
    assert control.key() != config.key()


def test_a_run_without_a_wave_has_no_control(configure):
    with pytest.raises(StudyError, match=r"^amplitude: got 0"):
        configure().control()
