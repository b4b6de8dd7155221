"""The primer's experiment: a network fits a sum of sinusoids on a line, full batch, and each of them is watched.

Frequencies are in cycles over the line [-1, 1): bins of the Fourier transform; k is pi k radians per unit of x.
"""

import dataclasses
import inspect
import math
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from lib.parameters import StudyError, check

OMEGA = 30.0  # SIREN's factor inside the sine (Sitzmann et al. 2020)
CHOICES = {"network": ("relu", "fourier", "siren", "winner"), "optimizer": ("gd", "adam")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDimensionalConfig:
    """One network, one seed (of the initial weights and of the target's phases), one target."""

    kind: ClassVar[str] = "one_dimension"
    version: ClassVar[int] = 1  # raise when the same configuration would give other results

    network: str
    frequencies: tuple[int, ...]  # cycles over the line, each with amplitude 1
    seed: int
    num_points: int = 64
    num_steps: int = 2000
    optimizer: str = "gd"
    lr: float = 0.5  # gd: share of the largest stable step; adam: its learning rate
    width: int = 64
    depth: int = 3  # hidden layers
    sigma: float = 4.0  # fourier: std of the features' frequencies, cycles per unit of x
    first_noise: float = 0.1  # winner: see Network
    second_noise: float = 3.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = check(field.name, getattr(self, field.name), inspect.formatannotation(field.type))
            if value not in CHOICES.get(field.name, [value]):
                raise StudyError(f"{field.name}: got {value!r}; accepted: {', '.join(CHOICES[field.name])}")
        if len(set(self.frequencies)) < len(self.frequencies) or 2 * max(self.frequencies) >= self.num_points:
            raise StudyError(f"frequencies: got {list(self.frequencies)}; accepted: different, below num_points / 2")

    def identity(self) -> dict:
        return {f.name: v for f in dataclasses.fields(self) if (v := getattr(self, f.name)) != f.default}

    def described(self) -> dict:
        return dataclasses.asdict(self) | {"frequencies": " ".join(map(str, self.frequencies))}

    def points(self, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, 1), moved by `shift` of the spacing, and the target's K terms there, (N, K), phases by the seed."""
        x = 2 * (torch.arange(self.num_points, dtype=torch.float64)[:, None] + shift) / self.num_points - 1
        phases = torch.tensor(2 * math.pi * np.random.default_rng(self.seed).random(len(self.frequencies)))
        return x.float(), torch.sin(math.pi * torch.tensor(self.frequencies) * (x + 1) + phases).float()

    def execute(self, device: torch.device) -> tuple[dict[str, np.ndarray], dict]:
        return fit(self, device)


class Network(nn.Module):
    """A multilayer perceptron, (N, 1) -> (N,).

    relu: He-uniform weights. fourier: the same on [cos, sin](2 pi B x), B ~ N(0, sigma^2) (Tancik et al. 2020).
    siren: sin(30 .), first layer U(+-1 / n), then U(+-sqrt(6 / n) / 30) (Sitzmann et al. 2020). winner: siren plus
    Gaussian noise of std s / 30 on the weights of the first two layers, s set by the target's spectral centroid
    (WINNER, 2025); how is this study's choice: first_noise * centroid in rad / x, second_noise * centroid / Nyquist.
    """

    @torch.no_grad()
    def __init__(self, config: OneDimensionalConfig):
        super().__init__()
        draw = torch.Generator().manual_seed(config.seed)
        sines = config.network in ("siren", "winner")
        self.activation = (lambda h: torch.sin(OMEGA * h)) if sines else torch.relu
        num_features = config.width // 2 * (config.network == "fourier")
        self.register_buffer("B", config.sigma * torch.randn(num_features, generator=draw))
        sizes = [2 * num_features or 1] + config.depth * [config.width] + [1]
        self.layers = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(config.depth + 1))
        magnitude = torch.fft.rfft(config.points()[1].sum(1)).abs()
        centroid = (magnitude @ torch.arange(len(magnitude)).float() / magnitude.sum()).item()
        noise = [config.first_noise * math.pi * centroid, config.second_noise * 2 * centroid / config.num_points]
        for index, (size, layer) in enumerate(zip(sizes, self.layers, strict=False)):
            bound = 1 if sines and index == 0 else math.sqrt(6 / size) / (OMEGA if sines else 1)
            layer.weight.uniform_(-bound, bound, generator=draw)
            layer.bias.uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size), generator=draw)
            if config.network == "winner" and index < 2:
                layer.weight += noise[index] / OMEGA * torch.randn(layer.weight.shape, generator=draw)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        phase = 2 * math.pi * x * self.B
        h = torch.cat([phase.cos(), phase.sin()], dim=1) if len(self.B) else x
        for layer in self.layers[:-1]:
            h = self.activation(layer(h))
        return self.layers[-1](h)[:, 0]


def tangent_kernel(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Empirical neural tangent kernel J J^T, (N, N), float64; J: derivatives of the outputs by the weights."""
    rows = [torch.autograd.grad(output, [*model.parameters()], retain_graph=True) for output in model(x)]
    jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double()
    return jacobian @ jacobian.T


@torch.no_grad()
def descend(optimizer: str, weights: list, gradients, mean: list, square: list, step: int, lr: float) -> None:
    """Step 1, 2, ... of gradient descent or Adam (usual constants); torch.optim would take seconds to import."""
    if optimizer == "gd":
        return torch._foreach_add_(weights, gradients, alpha=-lr)
    torch._foreach_lerp_(mean, gradients, 0.1)
    torch._foreach_mul_(square, 0.999)
    torch._foreach_addcmul_(square, gradients, gradients, value=0.001)
    scale = torch._foreach_add(torch._foreach_sqrt(square), 1e-8)
    torch._foreach_addcdiv_(weights, mean, scale, value=-lr * math.sqrt(1 - 0.999**step) / (1 - 0.9**step))


def fit(config: OneDimensionalConfig, device: torch.device) -> tuple[dict[str, np.ndarray], dict]:
    """Train on half the mean squared error, N points, K frequencies, T logged steps. Returns (history, {}).

    history: output (T, N), target (1, N), and one row a logged step and frequency, arrays (T * K,): step, frequency,
    loss; with F, Y the Fourier transforms of output and target, amplitude |F| / |Y| (Rahaman et al. 2019), error
    |F - Y| / |Y|, which sees the phase too, and error_between, the last error halfway between the points. What the
    tangent kernel Q at the start foretells under gd, else NaN: predicted_error, of a network linear in its weights,
    residual(t) = (1 - eta Q / N)^t residual(0); rayleigh_time, ln 2 N / (eta v^T Q v) steps, v the normalised sinusoid;
    eta, the learning rate, is lr * 2 N / (largest eigenvalue of Q). Raises StudyError on divergence."""
    model = Network(config).to(device)
    (x, waves), (between, waves_between) = ([t.to(device) for t in config.points(shift)] for shift in (0.0, 0.5))
    target, bins, lr = waves.sum(1), list(config.frequencies), config.lr
    relative = lambda values: torch.fft.rfft(values.double())[..., bins] / torch.fft.rfft(target.double())[bins]  # noqa: E731
    steps = sorted({round(step) for step in np.geomspace(1, config.num_steps, 110).tolist()})
    predicted = rayleigh = torch.tensor(math.nan)
    if config.optimizer == "gd":
        rates, modes = torch.linalg.eigh(kernel := tangent_kernel(model, x) / len(x))
        lr *= 2 / rates[-1].item()
        v = nn.functional.normalize(waves.double(), dim=0)
        rayleigh = math.log(2) / (lr * (v * (kernel @ v)).sum(0))
        shrunk = (1 - lr * rates.clamp(min=0)) ** torch.tensor(steps, device=device)[:, None]
        predicted = relative(shrunk * ((model(x).detach() - target).double() @ modes) @ modes.T).abs()
    weights, outputs = list(model.parameters()), []
    mean, square = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in range(config.num_steps):
        output = model(x)
        if step == steps[len(outputs)]:
            outputs.append(output.detach())
        gradients = torch.autograd.grad(0.5 * ((output - target) ** 2).mean(), weights)
        descend(config.optimizer, weights, gradients, mean, square, step + 1, lr)
    outputs = torch.stack([*outputs, model(x).detach()])
    if not outputs.isfinite().all():
        raise StudyError(f"training diverged: {config.described()}: try a lower lr")
    found = relative(outputs)
    rows = {"step": torch.tensor(steps)[:, None], "frequency": torch.tensor(bins), "amplitude": found.abs(),
            "error": (found - 1).abs(), "loss": 0.5 * ((outputs - target) ** 2).mean(1, keepdim=True),
            "error_between": relative(model(between).detach() - waves_between.sum(1)).abs(),
            "predicted_error": predicted, "rayleigh_time": rayleigh}  # fmt: skip
    history = {name: value.cpu().broadcast_to(found.shape).flatten().numpy() for name, value in rows.items()}
    return history | {"output": outputs.cpu().numpy(), "target": target[None].cpu().numpy()}, {}
