"""One run: the same bit for bit, its history as its weights give it, its step in closed form."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib import models, training
from lib.parameters import StudyError
from lib.training import loop

CPU = torch.device("cpu")


def history(config):
    return config.execute(CPU)[0]


def assert_identical(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])  # NaN equals NaN here


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"wave": "radial", "frequency": 0.2, "amplitude": 0.4},
        {"augmentation": "flip_crop+mixup:0.5"},
        {"augmentation": "autoaugment"},
        {"model": "shakeshake-8-4", "num_train": 100},
        {"model": "pyramidnet-8-6", "num_train": 100},
    ],
)
def test_the_same_configuration_gives_the_same_run_bit_for_bit(configure, fields):
    config = configure(**fields)
    runs = []
    for _ in range(2):
        torch.rand(3)  # the global state is elsewhere each time
        runs.append(config.execute(CPU))
    (first, first_weights), (again, again_weights) = runs
    assert_identical(first, again)
    assert_identical(first_weights, again_weights)


def test_seeds_differ(configure):
    losses = [history(configure(seed=seed))["train_loss"][-1] for seed in range(3)]
    assert len(set(losses)) == 3


@pytest.fixture
def seen(monkeypatch):
    """A function that trains a configuration: (its untrained weights, the batches it saw)."""
    batches = []

    class Watched(training.Gradients):
        def __call__(self, images, labels):
            batches.append(images.flatten(1).clone())
            return super().__call__(images, labels)

    monkeypatch.setattr(loop, "Gradients", Watched)

    def train(config):
        batches.clear()
        config.execute(CPU)
        return flat(config.build().parameters()), torch.cat(batches).numpy()

    return train


def test_another_start_is_another_initialisation_and_order_of_the_same_images(configure, seen):
    fields = {"num_train": 120, "batch_size": 40, "num_epochs": 1}
    weights, images = zip(
        *(seen(configure(**fields, start=start)) for start in (0, 1, 2)), strict=True
    )
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(weights[one], weights[other])
        assert not np.array_equal(images[one], images[other])
    ordered = [image[np.lexsort(image.T)] for image in images]
    assert np.array_equal(ordered[0], ordered[1])
    assert np.array_equal(ordered[0], ordered[2])
    other_seed = seen(configure(**fields, seed=1))[1]
    assert not np.array_equal(other_seed[np.lexsort(other_seed.T)], ordered[0])


def test_no_start_of_one_seed_is_another_seeds(configure):
    starts = {configure(seed=s, start=k).own_seed() for s in range(30) for k in range(30)}
    assert len(starts) == 30 * 30
    assert configure(seed=7).own_seed() == 7


def test_a_run_leaves_the_random_state_alone(configure):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    history(configure())
    assert torch.equal(torch.rand(3), expected)


def test_digits_are_learned(configure):
    learned = history(configure(num_epochs=8, model="mlp-1-64"))
    assert learned["epoch"].tolist() == list(range(1, 9))
    assert learned["test_accuracy"][-1] > 0.9
    assert learned["train_loss"][-1] < learned["train_loss"][0]
    assert learned["log_true"].shape == learned["log_mean"].shape == (8, 500)
    values = {"epoch", "train_loss", "test_loss", "test_accuracy", "log_true", "log_mean"}
    assert set(learned) == values


def network_of(config, weights, epoch):
    """The network that a run kept after `epoch`."""
    own = {name.partition("/"): tensor for name, tensor in weights.items()}
    network = config.build().eval()
    network.load_state_dict(
        {name: tensor for (start, _, name), tensor in own.items() if start == str(epoch)}
    )
    return network


@pytest.mark.parametrize(
    "fields", [{}, {"wave": "radial", "frequency": 0.15, "amplitude": 0.4}, {"model": "resnet8-4"}]
)
def test_history_is_what_the_kept_networks_give(configure, fields):
    """Of every epoch, computed anew in float64; float16 has 11 bits of the logarithms."""
    config = configure(**fields, num_epochs=3)
    recorded, weights = config.execute(CPU)
    dataset = config.load_data()
    images, labels = dataset.normalize(dataset.x_test), dataset.y_test.numpy()
    assert recorded["epoch"].tolist() == [1, 2, 3]
    for row, epoch in enumerate(recorded["epoch"]):
        with torch.no_grad():
            logits = network_of(config, weights, epoch)(images).double().numpy()
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        of_class = logs[np.arange(500), labels]
        right = (logits.argmax(1) == labels).mean()
        assert recorded["test_loss"][row] == pytest.approx(-of_class.mean(), abs=1e-5)
        assert recorded["test_accuracy"][row] == pytest.approx(right, abs=1e-12)
        for name, expected in (("log_true", of_class), ("log_mean", logs.mean(1))):
            kept = recorded[name][row]
            assert kept.dtype == np.float16
            np.testing.assert_allclose(kept, expected, rtol=2**-10, atol=2e-5)


def test_a_network_without_a_doubt_keeps_finite_logarithms(configure):
    """Of classes beyond the range of float16, 65,504."""
    dataset = configure().load_data()
    logits = torch.zeros(10).index_fill(0, torch.tensor([0]), 1e6)
    row = loop.look(Constant(logits), dataset.x_test[:20], dataset.y_test[:20], dataset)
    sure = dataset.y_test[:20].numpy() == 0
    assert np.isfinite(row["log_true"]).all()
    assert (row["log_true"] == np.where(sure, 0, -6e4).astype(np.float16)).all()
    assert (row["log_mean"] == np.float16(-6e4)).all()


class Constant(torch.nn.Module):
    """A network that always says the same."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_training_sees_the_noisy_labels(configure):
    """No network does better on smoothed labels than their entropy; on clean ones this does."""
    p = 1 - 0.4 + 0.04
    entropy = -p * math.log(p) - 9 * 0.04 * math.log(0.04)
    fields = {"num_epochs": 20, "model": "mlp-1-64"}
    assert history(configure(**fields))["train_loss"][-1] < 0.3 * entropy
    smoothed = history(configure(**fields, wave="uniform", amplitude=0.4))["train_loss"]
    assert smoothed.min() > entropy
    assert smoothed[-1] < 1.1 * entropy


def test_labels_of_one_class_alone_are_smoothed_in_training(configure, monkeypatch):
    """By the amplitude, in the mean over its images in each batch."""
    batches = []

    class Watched(training.Gradients):
        def __call__(self, images, labels):
            batches.append(labels)
            return super().__call__(images, labels)

    monkeypatch.setattr(loop, "Gradients", Watched)
    fields = {"wave": "radial", "frequency": 0.5, "amplitude": 0.2, "wave_class": 3}
    history(configure(**fields, num_epochs=1))
    for labels in batches:
        highest, winner = labels.max(1)
        assert (highest[winner != 3] == 1).all()
        r = (1 - highest[winner == 3]) / 0.9
        assert r.mean().item() == pytest.approx(0.2, abs=1e-5)
        assert r.std() > 0.05
    assert len(batches) == 5


def test_num_train_and_num_test(configure):
    config = configure(num_train=100, num_test=50, batch_size=256)
    recorded = history(config)  # a batch larger than the training set is the training set
    assert len(recorded["epoch"]) == 2
    assert {round(50 * accuracy, 9) % 1 for accuracy in recorded["test_accuracy"]} == {0}


def test_eval_every_skips_epochs_but_trains_them(configure):
    every, some = (history(configure(num_epochs=7, eval_every=k)) for k in (1, 3))
    assert some["epoch"].tolist() == [3, 6, 7]
    for name in every:
        np.testing.assert_array_equal(some[name], every[name][[2, 5, 6]])


def test_weights_are_kept_at_the_checkpoints(configure):
    _, weights = configure(num_epochs=5).execute(CPU)
    assert {name.split("/")[0] for name in weights} == {"1", "2", "4", "5"}


def test_cosine_runs_from_the_learning_rate_to_almost_nothing():
    rates = [training.cosine(0.1, step, 50) for step in (0, 25, 49, 50)]
    expected = [0.1, 0.05, 0.1 * math.sin(math.pi / 100) ** 2, 0]
    assert rates == pytest.approx(expected, abs=1e-15)


def test_training_steps_through_the_whole_cosine(configure, monkeypatch):
    rates, update = [], loop.update

    def watched(weights, velocity, lr, config):
        rates.append(lr)
        update(weights, velocity, lr, config)

    monkeypatch.setattr(loop, "update", watched)
    history(configure(num_train=130, batch_size=32, num_epochs=3, lr=0.2))  # 4 whole batches each
    expected = [0.1 * (1 + math.cos(math.pi * k / 12)) for k in range(12)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def normal(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def some_weights():
    return [normal(shape, seed).requires_grad_() for seed, shape in enumerate([(4, 3), (4,)])]


def give_gradients(weights, seed, scale=1.0):
    for number, weight in enumerate(weights):
        weight.grad = scale * normal(weight.shape, 100 + 10 * seed + number)


def flat(tensors):
    return np.concatenate([tensor.detach().flatten() for tensor in tensors])


def test_update_is_nesterov_sgd_while_nothing_is_clipped(configure):
    config = configure(momentum=0.9, weight_decay=0.05, grad_clip=1e9)
    weights, reference = some_weights(), some_weights()
    velocity = [torch.zeros_like(weight) for weight in weights]
    sgd = torch.optim.SGD(reference, lr=1.0, momentum=0.9, weight_decay=0.05, nesterov=True)
    for step, lr in enumerate((0.3, 0.2, 0.1)):
        give_gradients(weights, step)
        give_gradients(reference, step)
        training.update(weights, velocity, lr, config)
        sgd.param_groups[0]["lr"] = lr
        sgd.step()
    np.testing.assert_allclose(flat(weights), flat(reference), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [10.0, 0.0])
def test_update_clips_the_gradient_together_with_weight_decay(configure, scale):
    """v <- m v + g, w <- w - lr (g + m v), g = gradient + wd w, shrunk to length c where it is
    longer. The second case has no gradient but weight decay, and that alone is clipped."""
    m, wd, c, lr = 0.8, 3.0, 0.5, 0.1
    config = configure(momentum=m, weight_decay=wd, grad_clip=c)
    weights = some_weights()
    velocity = [torch.zeros_like(weight) for weight in weights]
    w = flat(weights)
    v = np.zeros_like(w)
    for step in range(3):
        give_gradients(weights, step, scale)
        g = flat([weight.grad for weight in weights]) + wd * w
        assert np.linalg.norm(g) > c
        g = g * c / np.linalg.norm(g)
        v = m * v + g
        w = w - lr * (g + m * v)
        training.update(weights, velocity, lr, config)
    np.testing.assert_allclose(flat(weights), w, rtol=1e-5)  # torch divides by the norm + 1e-6


def test_weight_decay_reaches_every_variable(configure):
    """Biases and batch norm shrink too: with no gradient all weights shrink by the same factor."""
    config = configure(momentum=0.0, weight_decay=0.5, grad_clip=1e9)
    weights = list(models.build("resnet8-2", (1, 8, 8), 10).parameters())
    for weight in weights:
        weight.data.fill_(2.0)
        weight.grad = torch.zeros_like(weight)
    training.update(weights, [torch.zeros_like(weight) for weight in weights], 0.1, config)
    assert {round(value, 6) for value in flat(weights).tolist()} == {1.9}


def test_predict_is_the_network_in_eval_mode_and_leaves_its_mode(configure):
    dataset = configure().load_data()
    model = models.build("resnet8-4", (1, 8, 8), 10).train()
    logits = training.predict(model, dataset.x_test, dataset, batch_size=130)
    assert model.training
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(dataset.normalize(dataset.x_test))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_bf16_learns_the_same(configure):
    """On a CPU auto is fp32, to the bit; bf16 ends within two points of its accuracy, in the mean
    of three seeds."""
    fields = {"model": "resnet8-8", "num_epochs": 5, "eval_every": 5}
    single, half = (
        [history(configure(**fields, seed=seed, precision=name)) for seed in range(3)]
        for name in ("fp32", "bf16")
    )
    assert_identical(history(configure(**fields)), single[0])
    assert all((a["test_loss"] != b["test_loss"]).all() for a, b in zip(single, half, strict=True))
    accuracies = [np.mean([run["test_accuracy"][-1] for run in runs]) for runs in (single, half)]
    assert accuracies[0] > 0.8
    assert abs(accuracies[0] - accuracies[1]) < 0.02


def test_divergence_is_an_error(configure):
    with pytest.raises(StudyError, match=r"training diverged in epoch 1 .*lower lr") as caught:
        history(configure(lr=1e30, grad_clip=1e30))
    assert "\n" not in str(caught.value)


LOOKS = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2"}


class Looks(TorchDispatchMode):
    """Counts how often a value is looked at, for which a GPU would have to be waited for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        name = operator.overloadpacket.__name__
        indices = arguments[1] if name in ("index", "index_put_") else []
        masked = any(index is not None and index.dtype == torch.bool for index in indices)
        self.count += name in LOOKS or masked
        return operator(*arguments, **(options or {}))


@pytest.mark.parametrize("augmentation", ["none", "flip_crop+cutout", "frequency:1:0.5"])
def test_no_value_is_looked_at_within_an_epoch(configure, augmentation):
    counts = []
    for num_train in (64, 640):  # 2 steps an epoch, and 20
        fields = {"num_train": num_train, "batch_size": 32, "augmentation": augmentation}
        with Looks() as looks:
            history(configure(model="resnet8-4", **fields))
        counts.append(looks.count)
    assert counts[0] == counts[1]
    assert counts[0] >= 2 * 3  # the losses and the accuracy of each epoch


def test_a_look_is_counted():
    with Looks() as looks:
        torch.ones(1).item()
        torch.arange(3)[torch.arange(3) > 1]
        bool(torch.ones(1) > 0)
    assert looks.count == 3
