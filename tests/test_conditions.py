"""The interventions: what is varied, what stays, and what is fixed."""

import dataclasses

import pytest
import torch

from lib.parameters import ROOT
from lib.training import TrainingConfig, loop
from notebooks import conditions

COMMON = {"dataset": "digits", "model": "mlp-1-16", "num_epochs": 8, "num_train": 800}
COMMON |= {"batch_size": 100, "augmentation": "none"}
SEEDS = [0, 1, 5]


def differences(config, other) -> set[str]:
    return {
        field.name
        for field in dataclasses.fields(TrainingConfig)
        if getattr(config, field.name) != getattr(other, field.name)
    }


@pytest.mark.parametrize(
    ("make", "field", "values"),
    [
        (conditions.by_family, "model", ["mlp-1-16", "cnn-4"]),
        (conditions.by_weight_decay, "weight_decay", [0.0, 0.001]),
        (conditions.by_augmentation, "augmentation", ["none", "flip_crop"]),
    ],
)
def test_a_condition_and_a_seed_are_one_configuration(make, field, values):
    """Which differs from the usual one in that field and the seed alone."""
    configs = make(COMMON, values, SEEDS)
    assert set(configs) == {(value, seed) for value in values for seed in SEEDS}
    for (value, seed), config in configs.items():
        assert config == TrainingConfig(**(COMMON | {field: value}), seed=seed)


SHARES = [0.125, 0.25, 0.5, 1.0]


def test_a_smaller_training_set_takes_as_many_steps_or_as_many_epochs():
    """800 images have 8 batches an epoch, 100 have 1."""
    plan = conditions.training_plan(COMMON, SHARES)
    assert len(plan) == 8
    steps, epochs = (plan[plan["fixed"] == name] for name in ("steps", "epochs"))
    assert steps["num_train"].tolist() == epochs["num_train"].tolist() == [100, 200, 400, 800]
    assert steps["num_epochs"].tolist() == [64, 32, 16, 8]
    assert steps["steps"].tolist() == [64] * 4
    assert epochs["num_epochs"].tolist() == [8] * 4
    assert epochs["steps"].tolist() == [8, 16, 32, 64]


@pytest.mark.parametrize("share", [0.013, 0.07, 0.33, 0.77])
def test_steps_are_fixed_to_half_an_epoch(share):
    """Also where batches do not divide the images, and where images are fewer than a batch."""
    plan = conditions.training_plan(COMMON, [share, 1.0]).set_index(["fixed", "num_train"])
    size = max(10, round(share * 800))
    an_epoch = size // min(100, size)
    assert abs(plan.loc[("steps", size), "steps"] - 64) <= an_epoch / 2
    assert plan.loc[("steps", 800), "num_epochs"] == 8


@pytest.mark.parametrize("fixed", ["steps", "epochs"])
def test_configurations_follow_the_plan_and_are_looked_at_as_often(fixed):
    plan = conditions.training_plan(COMMON, SHARES)
    configs = conditions.by_training_examples(COMMON, SHARES, SEEDS, fixed)
    assert len(configs) == 4 * 3
    for row in plan[plan["fixed"] == fixed].itertuples():
        for seed in SEEDS:
            config = configs[row.num_train, seed]
            assert (config.num_train, config.seed) == (row.num_train, seed)
            assert config.num_epochs == row.num_epochs
            assert config.num_epochs // config.eval_every == 8
    usual = configs[800, 0]
    assert usual == TrainingConfig(**COMMON, seed=0)  # one run, whatever is fixed


def test_smaller_training_sets_lie_inside_larger_ones(monkeypatch):
    """Of a seed; other seeds draw other images."""
    kept = []

    def watched(config, model, dataset, x_train, *_):
        kept.append({image.numpy().tobytes() for image in x_train})
        return iter([0.0] * config.num_epochs)

    monkeypatch.setattr(loop, "_epochs", watched)
    configs = conditions.by_training_examples(COMMON, SHARES, [0, 1], "epochs")
    images = {}
    for key, config in configs.items():
        config.execute(torch.device("cpu"))
        images[key] = kept[-1]
    for seed in (0, 1):
        nested = [images[size, seed] for size in (100, 200, 400, 800)]
        assert [len(some) for some in nested] == [100, 200, 400, 800]
        assert nested[0] < nested[1] < nested[2] < nested[3]
    assert len(images[100, 0] & images[100, 1]) < 30


def test_students_have_a_teacher_and_a_start_of_their_own():
    """Else a student of generation 1 would begin as its teacher began."""
    configs = conditions.by_distillation(COMMON, [0.2, 0.6], 3, SEEDS)
    assert len(configs) == 3 * (1 + 2 * 3)
    for seed in SEEDS:
        first = configs[1.0, 0, seed]
        assert first == TrainingConfig(**COMMON, seed=seed)
        for weight in (0.2, 0.6):
            teacher = first
            for generation in (1, 2, 3):
                student = configs[weight, generation, seed]
                assert student.teacher == teacher
                assert student.true_label_weight == weight
                assert student.seed == seed
                changed = {"teacher", "true_label_weight", "start"}
                assert differences(student, first) == changed
                teacher = student
        own = [config.own_seed() for (_, _, one), config in configs.items() if one == seed]
        assert len(set(own)) == 7


def test_arms_of_frequency_augmentation():
    """Smoothing alone has the labels of the perturbed arms, half even, and images left alone."""
    configs = conditions.by_frequency_augmentation(COMMON, [2.0, 4.0], SEEDS)
    arms = ["none", "smoothing", "f, 2 nu", "1/f, 2 nu", "f", "1/f"]
    assert list(configs) == [(arm, seed) for arm in arms for seed in SEEDS]
    plain = configs["none", 1]
    assert plain == TrainingConfig(**COMMON, seed=1)
    smoothed = configs["smoothing", 1]
    assert differences(smoothed, plain) == {"wave", "amplitude"}
    assert (smoothed.wave, smoothed.amplitude) == ("uniform", 0.5)
    names = {"f": "frequency:1:4", "1/f": "frequency:0:4", "f, 2 nu": "frequency:1:2"}
    for arm, augmentation in (names | {"1/f, 2 nu": "frequency:0:2"}).items():
        assert differences(configs[arm, 1], plain) == {"augmentation"}
        assert configs[arm, 1].augmentation == augmentation


def test_perturbations_come_after_the_usual_augmentation():
    usual = COMMON | {"augmentation": "flip_crop"}
    configs = conditions.by_frequency_augmentation(usual, [4.0], [0])
    assert configs["smoothing", 0].augmentation == configs["none", 0].augmentation == "flip_crop"
    assert configs["f", 0].augmentation == "flip_crop+frequency:1:4"


def test_no_notebook_takes_whatever_the_store_holds():
    """Each names its configurations: explorations with other values change no verdict."""
    asks = ("all_runs", "store_folder", "open_run", "STUDY_STORE")
    files = sorted((ROOT / "notebooks").glob("*.py"))
    assert [(file.name, one) for file in files for one in asks if one in file.read_text()] == []
