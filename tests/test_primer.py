"""Networks on a line: kernel, optimizers, initial weights and errors against closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from lib.parameters import StudyError
from notebooks import primer
from notebooks.primer import Network, OneDimensionalConfig, Optimizer, tangent_kernel

CPU = torch.device("cpu")


def on_a_line(**fields):
    usual = {"network": "relu", "frequencies": [1, 3, 6], "seed": 0, "num_steps": 20, "width": 8}
    return OneDimensionalConfig(**(usual | fields))


def phases(config):
    return 2 * math.pi * np.random.default_rng(config.seed).random(len(config.frequencies))


# The target and what is a run


def test_target_is_a_sum_of_sinusoids_with_phases_by_the_seed():
    config = on_a_line(num_points=20, seed=4)
    x, waves = config.points()
    np.testing.assert_allclose(x[:, 0], -1 + 0.1 * np.arange(20), atol=1e-6)
    expected = np.zeros((11, 3), complex)  # of sin(2 pi k j / N + phase): N / 2 at bin k, turned
    expected[[1, 3, 6], range(3)] = 10 * np.exp(1j * (phases(config) - math.pi / 2))
    np.testing.assert_allclose(np.fft.rfft(waves, axis=0), expected, atol=1e-4)
    between, waves_between = config.points(0.5)
    np.testing.assert_allclose(between - x, 0.05, atol=1e-6)
    turned = np.pi * np.array([1, 3, 6]) * (between.double().numpy() + 1) + phases(config)
    np.testing.assert_allclose(waves_between, np.sin(turned), atol=1e-5)


@pytest.mark.parametrize("frequencies", [[32], [1, 40], [2, 2], [3, 1, 3]])
def test_frequencies_beyond_nyquist_or_repeated_are_refused(frequencies):
    assert on_a_line(frequencies=[31, 1]).frequencies == (31, 1)
    with pytest.raises(StudyError, match=r"^frequencies: got .*different, below num_points / 2$"):
        on_a_line(frequencies=frequencies)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"network": "mlp"}, "network"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"frequencies": [0]}, "frequencies"),
        ({"frequencies": [1.5]}, "frequencies"),
        ({"frequencies": []}, "frequencies"),
        ({"depth": 0}, "depth"),
        ({"lr": 0}, "lr"),
        ({"num_steps": 0}, "num_steps"),
        ({"first_noise": -1}, "first_noise"),
    ],
)
def test_bad_fields_are_refused(fields, named):
    with pytest.raises(StudyError, match=f"^{named}: got .*; accepted: "):
        on_a_line(**fields)


def test_the_same_configuration_gives_the_same_run_and_another_seed_another():
    first, again, other = (on_a_line(seed=seed).execute(CPU)[0] for seed in (0, 0, 1))
    assert first.keys() == again.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["output"] != other["output"]).any()


# Initial weights


def weights_of(**fields):
    return [layer.weight.detach() for layer in Network(on_a_line(**fields)).layers]


def assert_uniform(values, bound):
    """Within the bound and, to five standard errors, with the variance bound^2 / 3."""
    assert values.abs().max() <= bound * (1 + 1e-6)
    error = 5 * math.sqrt(0.8 / values.numel())
    assert values.square().mean().item() == pytest.approx(bound**2 / 3, rel=error)


@pytest.mark.parametrize(
    ("network", "bounds"),
    [
        ("relu", [math.sqrt(6), *[math.sqrt(6 / 256)] * 3]),
        ("fourier", [math.sqrt(6 / 256)] * 4),
        ("siren", [1, *[math.sqrt(6 / 256) / 30] * 3]),
    ],
)
def test_initial_weights_are_uniform(network, bounds):
    """He et al. (2015): +-sqrt(6 / n); Sitzmann et al. (2020): +-1, then +-sqrt(6 / n) / 30."""
    model = Network(on_a_line(network=network, width=256))
    for layer, bound in zip(model.layers, bounds, strict=True):
        assert_uniform(layer.weight.detach(), bound)
    for layer in model.layers[:-1]:
        assert_uniform(layer.bias.detach(), 1 / math.sqrt(layer.in_features))


def test_winner_without_noise_starts_like_siren():
    quiet = weights_of(network="winner", width=256, first_noise=0, second_noise=0)
    for weight, bound in zip(quiet, [1, *[math.sqrt(6 / 256) / 30] * 3], strict=True):
        assert_uniform(weight, bound)


@pytest.mark.parametrize("frequencies", [[2, 4, 9], [12, 28]])
def test_winner_adds_noise_by_the_targets_centroid_to_two_layers(frequencies):
    """Sinusoids of one amplitude have their mean frequency as centroid c: the noise has a std of
    first_noise pi c / 30 in the first layer, second_noise c / 32 / 30 (Nyquist: 32) in the
    second."""
    centroid = np.mean(frequencies)
    fields = {"network": "winner", "frequencies": frequencies, "width": 512}
    quiet = weights_of(**fields, first_noise=0, second_noise=0)
    noisy = weights_of(**fields, first_noise=0.2, second_noise=2)
    noise = [one - other for one, other in zip(noisy, quiet, strict=True)]
    expected = [0.2 * math.pi * centroid / 30, 2 * centroid / 32 / 30]
    assert noise[0].std().item() == pytest.approx(expected[0], rel=5 / math.sqrt(2 * 512))
    assert noise[1].std().item() == pytest.approx(expected[1], rel=5 / math.sqrt(2 * 512**2))
    for part in noise[:2]:
        assert part.mean().abs() < 5 * part.std() / math.sqrt(part.numel())
        within = (part.abs() < part.std()).double().mean().item()
        assert within == pytest.approx(0.683, abs=5 * 0.47 / math.sqrt(part.numel()))  # Gaussian
    assert not any(part.any() for part in noise[2:])


def test_fourier_features_are_cosines_and_sines_of_normal_frequencies():
    model = Network(on_a_line(network="fourier", width=2000, sigma=3.0, depth=1))
    inputs = []
    model.layers[0].register_forward_pre_hook(lambda layer, arguments: inputs.append(*arguments))
    x = torch.tensor([[0.0], [0.013], [-0.7]])
    model(x)
    features = inputs[0].detach().numpy()
    assert features.shape == (3, 2000)
    cosines, sines = features[:, :1000], features[:, 1000:]
    np.testing.assert_allclose(features[0], [1] * 1000 + [0] * 1000, atol=1e-6)
    turns = np.arctan2(sines[1], cosines[1]) / (2 * math.pi)  # at 0.013 within half a turn
    frequencies = turns / 0.013
    assert frequencies.std() == pytest.approx(3.0, rel=5 / math.sqrt(2000))
    assert abs(frequencies.mean()) < 5 * 3 / math.sqrt(1000)
    angles = 2 * math.pi * frequencies * -0.7
    np.testing.assert_allclose(cosines[2], np.cos(angles), atol=1e-3)
    np.testing.assert_allclose(sines[2], np.sin(angles), atol=1e-3)


# The tangent kernel


@pytest.mark.parametrize("network", ["relu", "siren"])
def test_kernel_of_two_layers_by_its_derivatives(network):
    """f = sum v_j s(w_j x + b_j) + c: K(x, y) = sum s s' + 1 + (x y + 1) sum v_j^2 ds ds'."""
    model = Network(on_a_line(network=network, depth=1, width=16))
    x = torch.linspace(-1, 1, 7)[:, None]
    first, last = model.layers
    h = (x @ first.weight.T + first.bias).double().detach()
    if network == "relu":
        value, slope = h.clamp(min=0), (h > 0).double()
    else:
        value, slope = torch.sin(30 * h), 30 * torch.cos(30 * h)
    slope = slope * last.weight.detach()
    expected = value @ value.T + 1 + (x @ x.T + 1) * (slope @ slope.T)
    torch.testing.assert_close(tangent_kernel(model, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", ["relu", "fourier", "siren", "winner"])
def test_kernel_of_deep_networks_by_automatic_jacobians(network):
    model = Network(on_a_line(network=network))
    x = torch.linspace(-1, 1, 9)[:, None]

    def outputs(weights):
        return torch.func.functional_call(model, weights, (x,))

    jacobian = torch.func.jacrev(outputs)(dict(model.named_parameters()))
    rows = torch.cat([part.flatten(1) for part in jacobian.values()], dim=1).double()
    kernel = tangent_kernel(model, x)
    assert kernel.dtype == torch.float64
    torch.testing.assert_close(kernel, rows @ rows.T, rtol=1e-4, atol=1e-4)


# Optimizers


def weights_and_gradients(steps=30):
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(steps + 1, 11, generator=generator, dtype=torch.float64)
    weights, *gradients = [[row[:6].reshape(3, 2), row[6:]] for row in draws]
    return weights, gradients


def test_adam_is_torchs():
    weights, gradients = weights_and_gradients()
    reference = [nn.Parameter(weight.clone()) for weight in weights]
    adam, own = torch.optim.Adam(reference, lr=0.02), Optimizer("adam", weights, 0.02)
    for batch in gradients:
        for weight, gradient in zip(reference, batch, strict=True):
            weight.grad = gradient.clone()
        adam.step()
        own.step(batch)
        for weight, expected in zip(weights, reference, strict=True):
            torch.testing.assert_close(weight, expected.detach(), rtol=1e-6, atol=1e-6)


def test_gradient_descent_subtracts_the_gradients():
    weights, gradients = weights_and_gradients()
    expected = [
        weight - 0.02 * sum(batch[number] for batch in gradients)
        for number, weight in enumerate(weights)
    ]
    own = Optimizer("gd", weights, 0.02)
    for batch in gradients:
        own.step(batch)
    for weight, one in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight, one, rtol=1e-12, atol=1e-12)


def test_training_with_adam_is_a_plain_loop():
    config = on_a_line(optimizer="adam", lr=0.01)
    model, (x, waves) = Network(config), config.points()
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    outputs = []
    for _ in range(20):
        adam.zero_grad()
        (0.5 * (model(x) - waves.sum(1)).square().mean()).backward()
        adam.step()
        outputs.append(model(x).detach())
    history, weights = config.execute(CPU)
    assert weights == {}
    assert history["step"].reshape(-1, 3)[:, 0].tolist() == list(range(1, 21))
    np.testing.assert_allclose(history["output"], torch.stack(outputs), atol=1e-3)
    for name in ("predicted_error", "rayleigh_time"):  # the kernel foretells gradient descent
        assert np.isnan(history[name]).all()


# Amplitudes and errors


class Known(nn.Module):
    """`size` times the target, its terms with frequencies moved by `moved`, at x + `shift`."""

    def __init__(self, config, size=1.0, shift=0.0, moved=0):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(size))
        self.shift, self.phases = shift, torch.tensor(phases(config))
        self.frequencies = torch.tensor(config.frequencies) + moved

    def forward(self, x):
        turned = math.pi * self.frequencies * (x.double() + self.shift + 1) + self.phases
        return self.size * torch.sin(turned).sum(1).float()


def fitted(monkeypatch, network, **fields):
    """The history of a network that is given, trained so little that it stays."""
    config = on_a_line(**({"optimizer": "adam", "lr": 1e-30} | fields))
    monkeypatch.setattr(primer, "Network", network)
    return config, config.execute(CPU)[0]


def assert_rows(history, **expected):
    """Every logged step has these values, one a frequency (loss: one)."""
    for name, values in expected.items():
        rows = history[name].reshape(-1, 3)
        np.testing.assert_allclose(rows, np.broadcast_to(values, rows.shape), atol=2e-5)


@pytest.mark.parametrize("size", [1.0, 0.5, 0.0])
def test_errors_of_a_network_that_is_the_target_a_part_of_it_or_zero(monkeypatch, size):
    """Half the mean square of three sinusoids that have nothing in common is 3 / 4."""
    config, history = fitted(monkeypatch, lambda config: Known(config, size))
    left, loss = 1 - size, 3 / 4 * (1 - size) ** 2
    assert_rows(history, amplitude=size, error=left, error_between=left, loss=loss)
    np.testing.assert_allclose(history["target"], config.points()[1].sum(1)[None], atol=1e-6)
    np.testing.assert_allclose(history["output"], size * history["target"].repeat(20, 0), atol=1e-5)


def test_errors_of_a_network_that_is_shifted(monkeypatch):
    """A shift by s turns frequency k by pi k s: |exp(i pi k s) - 1| = 2 |sin(pi k s / 2)|."""
    shift = 0.1
    _, history = fitted(monkeypatch, lambda config: Known(config, shift=shift))
    error = 2 * np.abs(np.sin(math.pi * np.array([1, 3, 6]) * shift / 2))
    loss = (error**2).sum() / 4
    assert_rows(history, amplitude=1, error=error, error_between=error, loss=loss)


def test_a_network_that_is_right_at_the_points_alone_is_wrong_between_them(monkeypatch):
    """64 cycles more are not seen at 64 points, and turn the sign halfway between them."""
    _, history = fitted(monkeypatch, lambda config: Known(config, moved=64))
    assert_rows(history, amplitude=1, error=0, error_between=2, loss=0)


# Gradient descent of a network that is linear in its weights

GAINS = np.array([1.0, 0.5, 0.25])  # of the features with 1, 3 and 6 cycles


class Linear(nn.Module):
    """Sines and cosines of the target's frequencies, each with a gain, times weights from 0."""

    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6))
        self.gains = torch.tensor(GAINS)
        self.frequencies = math.pi * torch.tensor(config.frequencies)

    def forward(self, x):
        turned = self.frequencies * x.double()
        features = torch.cat([self.gains * turned.cos(), self.gains * turned.sin()], dim=1)
        return features.float() @ self.weight


@pytest.mark.parametrize("lr", [0.25, 0.9, 1.1])
def test_gradient_descent_of_a_linear_network_in_closed_form(monkeypatch, lr):
    """The kernel Q / N has the eigenvalues g^2 / 2, so a step multiplies the error of a frequency
    by 1 - 2 lr (g / largest g)^2: what is said to be foretold and what happens. A share above 1 of
    the largest stable step lets the frequency of the largest gain grow."""
    shares = 2 * lr * GAINS**2
    config, history = fitted(monkeypatch, Linear, optimizer="gd", lr=lr)
    steps = history["step"].reshape(-1, 3)
    assert steps[:, 0].tolist() == list(range(1, 21))
    assert history["frequency"].reshape(-1, 3)[0].tolist() == [1, 3, 6]
    left = (1 - shares) ** steps
    waves = config.points()[1].double().numpy()
    for name in ("error", "predicted_error"):
        np.testing.assert_allclose(history[name].reshape(-1, 3), np.abs(left), rtol=1e-3, atol=1e-5)
    amplitude = history["amplitude"].reshape(-1, 3)
    np.testing.assert_allclose(amplitude, np.abs(1 - left), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(history["output"], (1 - left) @ waves.T, rtol=1e-3, atol=1e-3)
    times = math.log(2) / shares
    np.testing.assert_allclose(history["rayleigh_time"].reshape(-1, 3)[0], times, rtol=1e-4)


def test_logged_steps_are_spread_evenly_over_the_logarithm(monkeypatch):
    _, history = fitted(monkeypatch, Linear, optimizer="gd", lr=0.25, num_steps=1000)
    steps = history["step"].reshape(-1, 3)[:, 0]
    assert (steps[0], steps[-1]) == (1, 1000)
    assert max(b / a for a, b in itertools.pairwise(steps) if a > 20) < 1.1
    assert len(steps) < 110
    left = (1 - 0.5 * GAINS**2) ** steps[:, None]
    np.testing.assert_allclose(history["error"].reshape(-1, 3), left, rtol=1e-3, atol=1e-5)


def test_divergence_is_an_error(monkeypatch):
    """2^2000 is more than a float holds."""
    with pytest.raises(StudyError, match=r"^training diverged: .*: try a lower lr$"):
        fitted(monkeypatch, Linear, optimizer="gd", lr=1.5, num_steps=2000)


@pytest.mark.parametrize("network", ["relu", "fourier", "siren", "winner"])
def test_each_network_learns_a_sinusoid(network):
    config = on_a_line(
        network=network, frequencies=[2], optimizer="adam", lr=1e-3, width=64, num_steps=600
    )
    assert config.execute(CPU)[0]["error"][-1] < 0.1
