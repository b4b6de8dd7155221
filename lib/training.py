"""One training run: a configuration in, a history and the network's weights along the way out.

Defaults are the released code's: Nesterov momentum 0.9, learning rate 0.1 with a cosine per step to 0, batch
256, gradient norm clipped at 5, weight decay (wd / 2) ||w||^2 on every variable and part of the clipped
gradient, flip-crop and cutout.
"""

import dataclasses
import functools
import math
import re
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from lib import augment, data, models, targets
from lib.parameters import StudyError, check
from lib.step import Step, cross_entropy


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What one run is. Two runs with equal fields and equal data are the same run."""

    kind: ClassVar[str] = "classifier"
    version: ClassVar[int] = 1  # raise when the same configuration would give other results

    dataset: str
    model: str
    seed: int
    num_epochs: int = 200
    num_train: int | None = None  # images, drawn with the seed; None: all
    num_test: int | None = None  # images; None: all
    batch_size: int = 256  # images
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    grad_clip: float = 5.0  # L2 norm of the whole gradient
    augmentation: str = "flip_crop+cutout"  # see lib.augment
    wave: str = "none"  # none, uniform, radial, fourier:I,J, random:SEED, f, 1/f
    frequency: float = 0.0  # cycles per nu
    amplitude: float = 0.0  # batch mean of the smoothing
    wave_on: str = "augmented"  # the image the wave is computed on
    precision: str = "auto"  # of the passes in training: bf16, fp32; auto: bf16 on a GPU, fp32 on a CPU
    eval_every: int = 1  # epochs between looks at the test set; the last epoch is always looked at
    teacher: "TrainingConfig | None" = None  # distillation: the run whose softmax is learned
    true_label_weight: float = 1.0  # distillation: alpha, the weight on the true labels

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.name != "teacher":
                check(field.name, getattr(self, field.name), getattr(field.type, "__name__", None) or str(field.type))
        augment.Pipeline(self.augmentation)
        if (self.teacher is None) != (self.true_label_weight == 1):
            raise StudyError(
                f"true_label_weight: got {self.true_label_weight}; accepted: below 1 with a teacher, else 1"
            )
        if (self.wave == "none") != (self.amplitude == 0):
            raise StudyError(f"amplitude: got {self.amplitude} with wave {self.wave}; accepted: 0 for none, else above")

    def load_data(self) -> data.Dataset:
        dataset = data.load(self.dataset, self.num_test)
        if (1 if self.num_train is None else self.num_train) > len(dataset.x_train):
            raise StudyError(f"num_train: got {self.num_train}; accepted: at most {len(dataset.x_train)}")
        return dataset

    def identity(self) -> dict:
        """The fields that differ from their defaults, the data by its content: what the run's key hashes.

        Raises StudyError where the data, the model or the wave can't be had: before anything is trained.
        """
        dataset = self.load_data()
        _try_model(self.model, dataset.image_shape, dataset.num_classes)
        targets.wave(self.wave, self.frequency, dataset.image_shape)
        fields = {
            field.name: float(value) if field.type is float else value  # 1 and 1.0 are one run
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        if self.teacher is not None:
            self.check_teacher(dataset)
            fields["teacher"] = self.teacher.identity()
        return fields | {"dataset": dataset.fingerprint}

    def check_teacher(self, dataset: data.Dataset) -> None:
        """Raise StudyError when the teacher knows other classes or images of another shape."""
        known = self.teacher.load_data()
        if (known.num_classes, known.image_shape) != (dataset.num_classes, dataset.image_shape):
            wanted = f"{dataset.num_classes}, and images {dataset.image_shape}, as {dataset.name}"
            raise StudyError(f"teacher: got one of {known.num_classes} classes; accepted: {wanted}")

    def needs(self) -> list:
        """The configurations whose runs this one reads: they are executed first."""
        return [] if self.teacher is None else [self.teacher]

    def described(self) -> dict:
        """All fields as plain values: an npz file without its folder, a teacher as the number of its generation."""
        generation = 0 if self.teacher is None else 1 + self.teacher.described()["generation"]
        fields = {name: value for name, value in vars(self).items() if name != "teacher"}
        return fields | {"dataset": re.sub(r":.*/", ":", self.dataset), "generation": generation}

    @classmethod
    def defaults(cls) -> dict:
        """`described` of the fields that have a default: what a run made before a field existed was."""
        fields = {f.name: f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
        return {"generation": 0} | {name: value for name, value in fields.items() if name != "teacher"}

    def build(self) -> torch.nn.Module:
        """The untrained network of this run."""
        dataset = self.load_data()
        return models.build(self.model, dataset.image_shape, dataset.num_classes, self.seed)

    def execute(self, device: torch.device, teacher=None) -> tuple[dict[str, np.ndarray], dict[str, torch.Tensor]]:
        """`train`; teacher: the runs.Run of what this configuration `needs`."""
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)  # for networks and policies that draw noise of their own
            return train(self, device, teacher)


@functools.lru_cache(maxsize=64)
def _try_model(name: str, image_shape: tuple[int, int, int], num_classes: int) -> None:
    models.build(name, image_shape, num_classes)


def checkpoint_epochs(num_epochs: int) -> list[int]:
    """Epochs whose weights a run keeps: 1, 2, 4, ... and the last."""
    return sorted({2**k for k in range(num_epochs.bit_length()) if 2**k <= num_epochs} | {num_epochs})


def predict(model: torch.nn.Module, images: torch.Tensor, dataset: data.Dataset, batch_size: int = 500):
    """Logits (n, num_classes), float32, of raw images (n, C, H, W) in eval mode."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = [
            model(dataset.normalize(batch).contiguous(memory_format=torch.channels_last)).float()
            for batch in images.split(batch_size)
        ]
    model.train(was_training)
    return torch.cat(logits)


def cosine(lr: float, step: int, num_steps: int) -> float:
    """Learning rate of step 0, 1, ...: from lr along half a cosine towards 0 at num_steps."""
    return lr * 0.5 * (1 + math.cos(math.pi * step / num_steps))


@torch.no_grad()
def update(weights: list, velocity: list, lr: float, config: TrainingConfig) -> None:
    """One Nesterov step on the gradients of `weights`: weight decay first, then clipping, as released.

    Written out because torch.optim takes four seconds to import and applies weight decay after clipping.
    """
    gradients = [weight.grad for weight in weights]
    torch._foreach_add_(gradients, weights, alpha=config.weight_decay)
    torch.nn.utils.clip_grad_norm_(weights, config.grad_clip)
    torch._foreach_mul_(velocity, config.momentum)
    torch._foreach_add_(velocity, gradients)
    torch._foreach_add_(weights, gradients, alpha=-lr)
    torch._foreach_add_(weights, velocity, alpha=-lr * config.momentum)


def distillation(config: TrainingConfig, dataset: data.Dataset, device: torch.device, teacher=None):
    """The function (images, labels) -> labels that mixes in the softmax of the run `teacher`.

    alpha on the labels, 1 - alpha on the teacher's softmax at temperature 1. Raises StudyError when the teacher
    has another number of classes.
    """
    if config.teacher is None:
        return lambda images, labels: labels
    if teacher is None:
        raise StudyError("teacher: got no run of it; accepted: the run of config.teacher, as runs.sweep hands it over")
    config.check_teacher(dataset)
    network = config.teacher.build()
    network.load_state_dict(teacher.weights(config.teacher.num_epochs))
    network.to(device, memory_format=torch.channels_last).eval()

    def teach(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            taught = F.softmax(network(images.contiguous(memory_format=torch.channels_last)), dim=1)
        return config.true_label_weight * labels + (1 - config.true_label_weight) * taught

    return teach


def train(config: TrainingConfig, device: torch.device, teacher=None):
    """Train one network, taught by the run `teacher` where there is one. Returns (history, weights).

    history: arrays over the evaluated epochs: epoch, train_loss (noisy labels, augmented images), test_loss,
    test_accuracy and, with a wave, test_loss_noisy, noise_fitting, wave_slope; losses in nats, without weight
    decay, on the whole test set. weights: "EPOCH/name" -> tensor, at `checkpoint_epochs`.
    Raises StudyError when the loss stops being finite.
    """
    dataset = config.load_data()
    generator = torch.Generator(device).manual_seed(config.seed)
    order = np.random.default_rng(config.seed).permutation(len(dataset.x_train))[: config.num_train]
    x_train, y_train = dataset.x_train[order].to(device), dataset.y_train[order].to(device)
    hard_labels = F.one_hot(y_train, dataset.num_classes).float()
    x_test, y_test = dataset.x_test.to(device), dataset.y_test.to(device)
    batch_size = min(config.batch_size, len(x_train))
    steps_per_epoch = len(x_train) // batch_size
    num_steps = config.num_epochs * steps_per_epoch

    model = config.build().to(device, memory_format=torch.channels_last).train()
    weights = list(model.parameters())
    velocity = [torch.zeros_like(weight) for weight in weights]
    step = 0
    augmentation = augment.Pipeline(config.augmentation)
    teach = distillation(config, dataset, device, teacher)
    wave = targets.wave(config.wave, config.frequency, dataset.image_shape)
    smooth = lambda labels, s: targets.smooth_labels(labels, s, config.amplitude, dataset.num_classes)  # noqa: E731
    noisy_test = smooth(y_test, wave(dataset.normalize(x_test))) if wave else None
    bf16 = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    differentiate = Step(model, bf16)
    kept = set(checkpoint_epochs(config.num_epochs))
    rows, checkpoints = [], {}
    for epoch in range(1, config.num_epochs + 1):
        losses = []
        shuffled = torch.randperm(len(x_train), device=device, generator=generator)
        for batch in shuffled[: steps_per_epoch * batch_size].split(batch_size):
            pixels = x_train[batch]
            labels = hard_labels[batch]
            images = dataset.normalize(augmentation.raw(pixels))
            images, labels = augmentation.normalized(images, labels, generator)
            if wave:
                seen = images if config.wave_on == "augmented" else dataset.normalize(pixels)
                labels = smooth(labels, wave(seen))
            labels = teach(images, labels)
            losses.append(differentiate(images, labels))
            update(weights, velocity, cosine(config.lr, step, num_steps), config)
            step += 1
        train_loss = torch.stack(losses).mean().item()
        if not math.isfinite(train_loss):
            raise StudyError(f"training diverged in epoch {epoch} of {config.described()}: try a lower lr")
        if epoch in kept:
            state = model.state_dict()
            checkpoints |= {f"{epoch}/{name}": state[name].detach().cpu().contiguous().clone() for name in state}
        if epoch % config.eval_every and epoch < config.num_epochs:
            continue
        logits = predict(model, x_test, dataset)
        row = {
            "epoch": epoch,
            "train_loss": train_loss,
            "test_loss": F.cross_entropy(logits, y_test).item(),
            "test_accuracy": (logits.argmax(1) == y_test).double().mean().item(),
        }
        if wave:
            row["test_loss_noisy"] = cross_entropy(logits, noisy_test).item()
            row["noise_fitting"] = targets.noise_fitting(logits, y_test, noisy_test).item()
            row["wave_slope"] = targets.wave_slope(logits, y_test, noisy_test).item()
        rows.append(row)
    history = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return history, checkpoints
