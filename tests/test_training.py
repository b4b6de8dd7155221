import copy
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib import models, parallel, targets, training
from lib.parameters import StudyError
from lib.runs import find_or_execute
from lib.training import TrainingConfig, train

CPU = torch.device("cpu")


def history(config, *needed):
    return config.execute(CPU, *needed)[0]


def identical(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])  # NaN equals NaN here
    return True


@pytest.mark.parametrize(
    "fields",
    [{}, {"wave": "radial", "frequency": 0.2, "amplitude": 0.4}, {"augmentation": "flip_crop+mixup:0.5"},
     {"augmentation": "autoaugment"}, {"model": "shakeshake-8-4", "num_train": 100}, {"model": "pyramidnet-8-6",
      "num_train": 100}],
)  # fmt: skip
def test_the_same_configuration_gives_the_same_run_bit_for_bit(configure, fields):
    config = configure(**fields)
    runs = []
    for _ in range(2):
        torch.rand(3)  # the global state is elsewhere each time
        runs.append(config.execute(CPU))
    (first, first_weights), (again, again_weights) = runs
    assert identical(first, again)
    assert first_weights.keys() == again_weights.keys()
    assert all(torch.equal(first_weights[name], again_weights[name]) for name in first_weights)


def test_seeds_differ(configure):
    losses = [history(configure(seed=seed))["train_loss"][-1] for seed in range(3)]
    assert len(set(losses)) == 3


def test_a_run_leaves_the_random_state_alone(configure):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    history(configure())
    assert torch.equal(torch.rand(3), expected)


def test_digits_are_learned(configure):
    found = history(configure(num_epochs=8, model="mlp-1-64"))
    assert found["epoch"].tolist() == list(range(1, 9))
    assert found["test_accuracy"][-1] > 0.9
    assert found["train_loss"][-1] < found["train_loss"][0]
    assert set(found) == {"epoch", "train_loss", "test_loss", "test_accuracy"}


def network_of(config, weights, epoch):
    model = config.build()
    prefix = f"{epoch}/"
    model.load_state_dict({name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)})
    return model.eval()


@pytest.mark.parametrize("wave", [("uniform", 0.0), ("radial", 0.15), ("fourier:3,4", 0.3)])
def test_history_is_what_the_kept_network_gives(configure, wave):
    """The last row, computed anew in float64 from the weights with formulas of its own."""
    amplitude = 0.4
    config = configure(wave=wave[0], frequency=wave[1], amplitude=amplitude, num_epochs=3)
    found, weights = config.execute(CPU)
    dataset = config.load_data()
    images, labels = dataset.normalize(dataset.x_test), dataset.y_test.numpy()
    with torch.no_grad():
        logits = network_of(config, weights, 3)(images).double().numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    x = images.double().numpy().reshape(500, -1)
    if wave[0] == "uniform":
        s = np.ones(500)
    elif wave[0] == "radial":
        s = 1 + np.sin(2 * np.pi * wave[1] * (np.linalg.norm(x, axis=1) - targets.chi_mean(64)))
    else:
        turns = (-1 * np.arange(8)[:, None] + 0 * np.arange(8)[None, :]) / 8  # u = 3 - 4, v = 4 - 4
        u = (np.cos(2 * np.pi * turns) - np.sin(2 * np.pi * turns)).ravel() / 8
        s = 1 + np.sin(2 * np.pi * wave[1] * (x @ u))
    r = amplitude * s / s.mean()
    clean = -log_p[np.arange(500), labels]
    noisy = (1 - r) * clean - r * log_p.mean(1)
    last = {name: values[-1] for name, values in found.items()}
    assert last["test_loss"] == pytest.approx(clean.mean(), abs=1e-5)
    assert last["test_accuracy"] == pytest.approx((logits.argmax(1) == labels).mean(), abs=1e-12)
    assert last["test_loss_noisy"] == pytest.approx(noisy.mean(), abs=1e-5)
    assert last["noise_fitting"] == pytest.approx((clean - noisy).mean(), abs=1e-5)
    if wave[0] == "uniform":
        assert math.isnan(last["wave_slope"])
    else:
        slope = np.polyfit(1 - 0.9 * r, np.exp(-clean), 1)[0]  # C = 10: noisy label of the class is 1 - r + r / C
        assert last["wave_slope"] == pytest.approx(slope, abs=1e-4)


def test_training_sees_the_noisy_labels(configure):
    """No network does better on smoothed labels than their entropy; on clean ones this one does."""
    p = 1 - 0.4 + 0.04
    entropy = -p * math.log(p) - 9 * 0.04 * math.log(0.04)
    fields = {"num_epochs": 20, "model": "mlp-1-64"}
    assert history(configure(**fields))["train_loss"][-1] < 0.3 * entropy
    smoothed = history(configure(**fields, wave="uniform", amplitude=0.4))["train_loss"]
    assert smoothed.min() > entropy
    assert smoothed[-1] < 1.1 * entropy


def test_the_controls_noise_fitting_is_confidence_alone(configure):
    """Under uniform smoothing the network that has learned its labels has log p and log q in them, p = 1 - r + r / C:
    CE(clean) - CE(noisy) = -(r - r / C) (log p - log q), about -1 at r = 0.4."""
    p, q = 1 - 0.4 + 0.04, 0.04
    expected = -(0.4 - 0.04) * (math.log(p) - math.log(q))
    found = history(configure(num_epochs=40, model="mlp-1-64", wave="uniform", amplitude=0.4))["noise_fitting"][-1]
    assert found == pytest.approx(expected, abs=0.12)


def test_wave_on_the_clean_image(configure):
    fields = {"wave": "radial", "frequency": 0.2, "amplitude": 0.4}
    on = [history(configure(**fields, wave_on=image)) for image in ("augmented", "clean")]
    assert identical(*on)  # without augmentation there is no difference
    on = [history(configure(**fields, wave_on=image, augmentation="flip_crop")) for image in ("augmented", "clean")]
    assert on[0]["train_loss"][0] != on[1]["train_loss"][0]


def test_num_train_and_num_test(configure):
    config = configure(num_train=100, num_test=50, batch_size=256)
    found, _ = config.execute(CPU)  # a batch larger than the training set is the training set
    assert len(found["epoch"]) == 2
    assert {round(50 * accuracy, 9) % 1 for accuracy in found["test_accuracy"]} == {0}


def test_eval_every_skips_epochs_but_trains_them(configure):
    every, some = (history(configure(num_epochs=7, eval_every=k)) for k in (1, 3))
    assert some["epoch"].tolist() == [3, 6, 7]
    for name in every:
        np.testing.assert_array_equal(some[name], every[name][[2, 5, 6]])


def test_checkpoints(configure):
    _, weights = configure(num_epochs=5).execute(CPU)
    assert {name.split("/")[0] for name in weights} == {"1", "2", "4", "5"}


@pytest.mark.parametrize(
    ("epochs", "kept"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])]
)
def test_checkpoint_epochs(epochs, kept):
    assert training.checkpoint_epochs(epochs) == kept


def test_cosine_runs_from_the_learning_rate_to_almost_nothing():
    n = 50
    assert training.cosine(0.1, 0, n) == pytest.approx(0.1, abs=1e-15)
    assert training.cosine(0.1, n // 2, n) == pytest.approx(0.05, abs=1e-15)
    assert training.cosine(0.1, n - 1, n) == pytest.approx(0.1 * math.sin(math.pi / (2 * n)) ** 2, abs=1e-15)
    assert training.cosine(0.1, n, n) == pytest.approx(0, abs=1e-15)


def test_training_steps_through_the_whole_cosine(configure, monkeypatch):
    rates = []
    step = training.update
    monkeypatch.setattr(training, "update", lambda w, v, lr, config: rates.append(lr) or step(w, v, lr, config))
    history(configure(num_train=130, batch_size=32, num_epochs=3, lr=0.2))  # 4 whole batches an epoch
    assert len(rates) == 12
    np.testing.assert_allclose(rates, [0.1 * (1 + math.cos(math.pi * k / 12)) for k in range(12)], rtol=1e-12)


def some_weights(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in ((4, 3), (4,))]


def give_gradients(weights, seed, scale=1.0):
    generator = torch.Generator().manual_seed(100 + seed)
    for weight in weights:
        weight.grad = scale * torch.randn(weight.shape, generator=generator, dtype=torch.float64)


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
    for weight, expected in zip(weights, reference, strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [10.0, 0.0])
def test_update_clips_the_gradient_together_with_weight_decay(configure, scale):
    """v <- m v + g, w <- w - lr (g + m v), g = gradient + wd w, shrunk to length c where it is longer. The second
    case has no gradient but weight decay, and that alone is clipped."""
    m, wd, c, lr = 0.8, 3.0, 0.5, 0.1
    config = configure(momentum=m, weight_decay=wd, grad_clip=c)
    weights = some_weights()
    velocity = [torch.zeros_like(weight) for weight in weights]
    w = np.concatenate([weight.detach().flatten() for weight in weights])
    v = np.zeros_like(w)
    for step in range(3):
        give_gradients(weights, step, scale)
        g = np.concatenate([weight.grad.flatten() for weight in weights]) + wd * w
        assert np.linalg.norm(g) > c
        g = g * c / np.linalg.norm(g)
        v = m * v + g
        w = w - lr * (g + m * v)
        training.update(weights, velocity, lr, config)
    found = np.concatenate([weight.detach().flatten() for weight in weights])
    np.testing.assert_allclose(found, w, rtol=1e-5)  # torch divides by the norm + 1e-6


def test_weight_decay_reaches_every_variable(configure):
    """Biases and batch norm shrink too: with no gradient each weight is multiplied by the same number."""
    config = configure(momentum=0.0, weight_decay=0.5, grad_clip=1e9)
    model = models.build("resnet8-2", (1, 8, 8), 10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(2.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    training.update(list(model.parameters()), [torch.zeros_like(p) for p in model.parameters()], 0.1, config)
    assert {round(value.item(), 6) for p in model.parameters() for value in p.flatten()} == {1.9}


def test_predict_is_the_network_in_eval_mode_and_leaves_its_mode(configure):
    dataset = configure().load_data()
    model = models.build("resnet8-4", (1, 8, 8), 10).train()
    logits = training.predict(model, dataset.x_test, dataset, batch_size=130)
    assert model.training
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(dataset.normalize(dataset.x_test))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_student_learns_from_its_teacher(configure, store):
    """With next to no weight on the labels the student follows a teacher that knows nothing: the entropy of its
    softmax bounds the training loss."""
    teacher = configure(num_epochs=1, lr=1e-9, seed=7)
    student = configure(teacher=teacher, true_label_weight=0.0, num_epochs=6)
    found = history(student, find_or_execute(teacher))
    network = teacher.build().eval()
    dataset = teacher.load_data()
    with torch.no_grad():
        p = network(dataset.normalize(dataset.x_train)).softmax(1).double()
    entropy = -(p * p.log()).sum(1).mean().item()
    assert found["train_loss"].min() > entropy - 0.02  # the last batch of an epoch is not seen
    assert found["train_loss"][-1] < entropy + 0.1
    assert found["test_accuracy"][-1] < 0.4
    assert student.described()["generation"] == 1


def test_teachers_share_and_label_weight_are_checked(configure):
    with pytest.raises(StudyError, match=r"^true_label_weight: "):
        configure(teacher=configure())
    with pytest.raises(StudyError, match=r"^true_label_weight: "):
        configure(true_label_weight=0.5)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"frequency": -0.1}, "frequency"),
        ({"wave": "radial", "frequency": 0.1, "amplitude": 0.6}, "amplitude"),
        ({"wave": "radial", "frequency": 0.1}, "amplitude"),  # a wave without amplitude
        ({"amplitude": 0.3}, "amplitude"),  # an amplitude without wave
        ({"lr": "0.1"}, "lr"),
        ({"lr": 0.0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"num_epochs": 2.0}, "num_epochs"),
        ({"num_epochs": True}, "num_epochs"),
        ({"num_epochs": 0}, "num_epochs"),
        ({"num_train": 0}, "num_train"),
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
    ],
)
def test_bad_fields_are_refused_when_the_configuration_is_made(configure, fields, named):
    with pytest.raises(StudyError, match=f"^{named}: ") as caught:
        configure(**fields)
    assert "\n" not in str(caught.value)


LATER = [({"num_train": 1298}, "num_train"), ({"num_test": 501}, "num_test"), ({"dataset": "mnist"}, "dataset"),
         ({"dataset": "npz:absent.npz"}, "dataset"), ({"model": "mlp-1"}, "model"), ({"model": "wrn-11-1"}, "model"),
         ({"wave": "square", "amplitude": 0.1, "frequency": 0.1}, "wave"),
         ({"wave": "fourier:8,8", "amplitude": 0.1, "frequency": 0.1}, "fourier_basis_image"),
         ({"wave": "radial", "amplitude": 0.1}, "frequency")]  # fmt: skip


@pytest.mark.parametrize(("fields", "named"), LATER)
def test_what_the_data_or_the_network_refuse_is_refused_before_the_key_exists(configure, fields, named):
    """So that a sweep stops before it trains anything."""
    with pytest.raises(StudyError, match=f"^{named}: ") as caught:
        configure(**fields).identity()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["dataset", "model", "seed"])
def test_required_fields(missing):
    fields = {"dataset": "digits", "model": "mlp-1-16", "seed": 0}
    del fields[missing]
    with pytest.raises(TypeError, match=missing):
        TrainingConfig(**fields)


def test_configuration_is_frozen(configure):
    with pytest.raises(AttributeError):
        configure().lr = 1.0


def test_precision_is_part_of_a_run_where_it_is_chosen(configure):
    from lib.runs import key_of

    usual, single, half = (configure(precision=name) for name in ("auto", "fp32", "bf16"))
    assert key_of(usual) == key_of(configure())
    assert len({key_of(config) for config in (usual, single, half)}) == 3
    with pytest.raises(StudyError, match=r"^precision: got 'fp16'; accepted: auto, fp32, bf16"):
        configure(precision="fp16")


def test_bf16_learns_the_same(configure):
    """On a CPU auto is fp32, to the bit; bf16 ends within two points of its accuracy, in the mean of three seeds."""
    found = {name: [configure(model="resnet8-8", num_epochs=8, seed=seed, precision=name).execute(CPU)[0]
                    for seed in range(3)] for name in ("auto", "fp32", "bf16")}  # fmt: skip
    for one, other in zip(found["auto"], found["fp32"], strict=True):
        np.testing.assert_array_equal(one["test_loss"], other["test_loss"])
    assert all((a["test_loss"] != b["test_loss"]).all() for a, b in zip(found["fp32"], found["bf16"], strict=True))
    single, half = (np.mean([run["test_accuracy"][-1] for run in found[name]]) for name in ("fp32", "bf16"))
    assert single > 0.8
    assert abs(single - half) < 0.02


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none():
    with pytest.raises(StudyError, match=r"^device: got cuda, but no CUDA device answers"):
        parallel.resolve_device("cuda")
    assert parallel.resolve_device("auto").type == "cpu"


def test_unknown_device():
    with pytest.raises(StudyError, match=r"^device: got 'tpu'; accepted: auto, cpu, cuda"):
        parallel.resolve_device("tpu")
    assert parallel.resolve_device("cpu").type == "cpu"


def test_divergence_is_an_error(configure):
    with pytest.raises(StudyError, match=r"training diverged in epoch 1 .*lower lr") as caught:
        history(configure(lr=1e30, grad_clip=1e30))
    assert "\n" not in str(caught.value)


class Looks(TorchDispatchMode):
    """Counts how often a value is looked at, for which a GPU would have to be waited for."""

    names = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_unique2")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        name = operator.overloadpacket.__name__
        masks = [index for index in arguments[1] if index is not None] if name in ("index", "index_put_") else []
        self.count += name in self.names or any(mask.dtype == torch.bool for mask in masks)
        return operator(*arguments, **(options or {}))


@pytest.mark.parametrize("augmentation", ["none", "flip_crop+cutout", "frequency:1:0.5"])
def test_no_value_is_looked_at_within_an_epoch(configure, augmentation):
    counts = []
    for num_train in (64, 640):  # 2 steps an epoch, and 20
        with Looks() as looks:
            train(configure(model="resnet8-4", num_train=num_train, batch_size=32, augmentation=augmentation), CPU)
        counts.append(looks.count)
    assert counts[0] == counts[1]
    assert counts[0] >= 2 * 3  # the losses and the accuracy of each epoch


def test_a_look_is_counted():
    with Looks() as looks:
        torch.ones(1).item()
        torch.arange(3)[torch.arange(3) > 1]
        bool(torch.ones(1) > 0)
    assert looks.count == 3
