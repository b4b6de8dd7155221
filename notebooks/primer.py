"""The primer's experiment: a network fits a sum of sinusoids on a line, full batch, and each of
them is watched. Frequencies are in cycles over the line [-1, 1): bins of the Fourier transform; k
is pi k radians per unit of x."""

import dataclasses
import itertools
import math
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from lib.parameters import Config, StudyError, refusal

OMEGA = 30.0  # SIREN's factor inside the sine (Sitzmann et al. 2020)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDimensionalConfig(Config):
    """One network, one seed (of the initial weights and of the target's phases), one target."""

    kind: ClassVar[str] = "one_dimension"

    network: str  # relu, fourier, siren, winner
    frequencies: tuple[int, ...]  # cycles over the line, each with amplitude 1
    seed: int
    num_points: int = 64
    num_steps: int = 2000
    optimizer: str = "gd"  # or adam
    lr: float = 0.5  # gd: share of the largest stable step; adam: its learning rate
    width: int = 64
    depth: int = 3  # hidden layers
    sigma: float = 4.0  # fourier: std of the features' frequencies, cycles per unit of x
    first_noise: float = 0.1  # winner: see Network
    second_noise: float = 3.0

    def __post_init__(self):
        super().__post_init__()
        if len(set(self.frequencies)) < len(self.frequencies) or (
            2 * max(self.frequencies) >= self.num_points
        ):
            raise refusal("frequencies", self.frequencies, "different, below num_points / 2")

    def points(self, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, 1), moved by `shift` of the spacing, and the target's K terms there, (N, K), phases
        by the seed."""
        places = torch.arange(self.num_points, dtype=torch.float64)[:, None]
        x = 2 * (places + shift) / self.num_points - 1
        draws = np.random.default_rng(self.seed).random(len(self.frequencies))
        phases = torch.tensor(2 * math.pi * draws)
        waves = torch.sin(math.pi * torch.tensor(self.frequencies) * (x + 1) + phases)
        return x.float(), waves.float()

    def execute(self, device: torch.device) -> tuple[dict[str, np.ndarray], dict]:
        return fit(self, device), {}


class Network(nn.Module):
    """A multilayer perceptron, (N, 1) -> (N,).

    relu: He-uniform weights. fourier: the same on [cos, sin](2 pi B x), B ~ N(0, sigma^2) (Tancik
    et al. 2020). siren: sin(30 .), first layer U(+-1 / n), then U(+-sqrt(6 / n) / 30) (Sitzmann et
    al. 2020). winner: siren plus Gaussian noise of std s / 30 on the weights of the first two
    layers, s set by the target's spectral centroid (WINNER, 2025); how is this study's choice:
    first_noise * centroid in rad / x, second_noise * centroid / Nyquist."""

    @torch.no_grad()
    def __init__(self, config: OneDimensionalConfig):
        super().__init__()
        draw = torch.Generator().manual_seed(config.seed)
        sines = config.network in ("siren", "winner")
        self.activation = (lambda h: torch.sin(OMEGA * h)) if sines else torch.relu
        num_features = config.width // 2 * (config.network == "fourier")
        self.register_buffer("B", config.sigma * torch.randn(num_features, generator=draw))
        sizes = [2 * num_features or 1] + config.depth * [config.width] + [1]
        pairs = list(itertools.pairwise(sizes))
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairs)
        magnitude = torch.fft.rfft(config.points()[1].sum(1)).abs()
        centroid = (magnitude @ torch.arange(len(magnitude)).float() / magnitude.sum()).item()
        first = config.first_noise * math.pi * centroid
        noise = [first, config.second_noise * 2 * centroid / config.num_points]
        for index, ((size, _), layer) in enumerate(zip(pairs, self.layers, strict=True)):
            bound = math.sqrt(6 / size) / (OMEGA if sines else 1)
            bound = 1 if sines and index == 0 else bound
            layer.weight.uniform_(-bound, bound, generator=draw)
            layer.bias.uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size), generator=draw)
            if config.network == "winner" and index < 2:
                perturbation = torch.randn(layer.weight.shape, generator=draw)
                layer.weight += noise[index] / OMEGA * perturbation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        phase = 2 * math.pi * x * self.B
        h = torch.cat([phase.cos(), phase.sin()], dim=1) if len(self.B) else x
        for layer in self.layers[:-1]:
            h = self.activation(layer(h))
        return self.layers[-1](h)[:, 0]


def tangent_kernel(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Empirical neural tangent kernel J J^T, (N, N), float64; J: derivatives of the N outputs by
    the weights."""
    weights = [*model.parameters()]
    rows = [torch.autograd.grad(output, weights, retain_graph=True) for output in model(x)]
    jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double()
    return jacobian @ jacobian.T


class Optimizer:
    """Gradient descent or Adam (usual constants) on lists of weights."""

    def __init__(self, name: str, weights: list[torch.Tensor], lr: float):
        self.adam, self.weights, self.lr, self.steps = name == "adam", weights, lr, 0
        self.mean, self.square = ([torch.zeros_like(w) for w in weights] for _ in range(2))

    @torch.no_grad()
    def step(self, gradients) -> None:
        if not self.adam:
            return torch._foreach_add_(self.weights, gradients, alpha=-self.lr)
        self.steps += 1
        torch._foreach_lerp_(self.mean, gradients, 0.1)
        torch._foreach_mul_(self.square, 0.999)
        torch._foreach_addcmul_(self.square, gradients, gradients, value=0.001)
        scale = torch._foreach_add(torch._foreach_sqrt(self.square), 1e-8)
        lr = self.lr * math.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        torch._foreach_addcdiv_(self.weights, self.mean, scale, value=-lr)


def linearised(config, kernel, residual, waves, steps: torch.Tensor) -> tuple:
    """What the tangent kernel Q / N foretells: (learning rate, residuals (T, N), times (K,)). Of a
    network linear in its weights residual(t) = (1 - eta Q / N)^t residual(0); a normalised sinusoid
    v on its own is halved in ln 2 N / (eta v^T Q v) steps; eta = lr * 2 N / (largest eigenvalue of
    Q)."""
    rates, modes = torch.linalg.eigh(kernel)
    lr = config.lr * 2 / rates[-1].item()
    v = nn.functional.normalize(waves.double(), dim=0)
    times = math.log(2) / (lr * (v * (kernel @ v)).sum(0))
    shrunk = (1 - lr * rates.clamp(min=0)) ** steps[:, None]
    return lr, shrunk * (residual.double() @ modes) @ modes.T, times


def descend(model: nn.Module, x, target, optimizer: Optimizer, steps: list[int]) -> torch.Tensor:
    """Outputs (T, N) at `steps`, from 1 to the last, of full-batch training."""
    outputs = []
    for step in range(steps[-1]):
        output = model(x)
        if step == steps[len(outputs)]:
            outputs.append(output.detach())
        loss = 0.5 * ((output - target) ** 2).mean()
        optimizer.step(torch.autograd.grad(loss, optimizer.weights))
    return torch.stack([*outputs, model(x).detach()])


def fit(config: OneDimensionalConfig, device: torch.device) -> dict[str, np.ndarray]:
    """Train on half the mean squared error, N points, K frequencies, T logged steps.

    Returns output (T, N), target (1, N), and one row a logged step and frequency, arrays (T * K,):
    step, frequency, loss; with F, Y the Fourier transforms of output and target, amplitude |F| /
    |Y| (Rahaman et al. 2019), error |F - Y| / |Y|, which sees the phase too, error_between, the
    last error halfway between the points; under gd, else NaN, what the tangent kernel at the start
    foretells (`linearised`): predicted_error and rayleigh_time. Raises StudyError on divergence."""
    model, bins = Network(config).to(device), list(config.frequencies)
    (x, waves), (between, waves_between) = (config.points(shift) for shift in (0.0, 0.5))
    x, target, lr = x.to(device), waves.sum(1).to(device), config.lr
    steps = sorted({round(step) for step in np.geomspace(1, config.num_steps, 110).tolist()})
    logged = torch.tensor(steps)[:, None]
    whole = torch.fft.rfft(target.double())[bins]

    def relative(values: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(values.double())[..., bins] / whole

    foretold = dict.fromkeys(("predicted_error", "rayleigh_time"), torch.tensor(math.nan))
    if config.optimizer == "gd":
        kernel, residual = tangent_kernel(model, x) / len(x), model(x).detach() - target
        moments = logged[:, 0].to(device)
        lr, left, times = linearised(config, kernel, residual, waves.to(device), moments)
        foretold = {"predicted_error": relative(left).abs(), "rayleigh_time": times}
    optimizer = Optimizer(config.optimizer, list(model.parameters()), lr)
    outputs = descend(model, x, target, optimizer, steps)
    if not outputs.isfinite().all():
        raise StudyError(f"training diverged: {config.described()}: try a lower lr")
    fitted, loss = relative(outputs), 0.5 * ((outputs - target) ** 2).mean(1, keepdim=True)
    off_points = model(between.to(device)).detach() - waves_between.sum(1).to(device)
    rows = {"step": logged, "frequency": torch.tensor(bins), "amplitude": fitted.abs()}
    rows |= {"error": (fitted - 1).abs(), "loss": loss, "error_between": relative(off_points).abs()}
    wide = {k: v.cpu().broadcast_to(fitted.shape) for k, v in (rows | foretold).items()}
    history = {name: value.flatten().numpy() for name, value in wide.items()}
    return history | {"output": outputs.cpu().numpy(), "target": target[None].cpu().numpy()}
