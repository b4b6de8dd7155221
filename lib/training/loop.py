"""One training run, epoch by epoch: a configuration in, a history and the network's weights out."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from lib import data
from lib.parameters import StudyError
from lib.training import label_waves
from lib.training.gradients import Gradients


def predict(model: torch.nn.Module, images: torch.Tensor, dataset: data.Dataset, batch_size=500):
    """Logits (n, num_classes), float32, of raw images (n, C, H, W) in eval mode."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        normalized = (dataset.normalize(batch) for batch in images.split(batch_size))
        batches = (batch.contiguous(memory_format=torch.channels_last) for batch in normalized)
        logits = torch.cat([model(batch).float() for batch in batches])
    model.train(was_training)
    return logits


def cosine(lr: float, step: int, num_steps: int) -> float:
    """Learning rate of step 0, 1, ...: from lr along half a cosine towards 0 at num_steps."""
    return lr * 0.5 * (1 + math.cos(math.pi * step / num_steps))


@torch.no_grad()
def update(weights: list, velocity: list, lr: float, config) -> None:
    """One Nesterov step on the gradients of `weights`: weight decay first, then clipping, as
    released; torch.optim would apply weight decay after clipping."""
    gradients = [weight.grad for weight in weights]
    torch._foreach_add_(gradients, weights, alpha=config.weight_decay)
    torch.nn.utils.clip_grad_norm_(weights, config.grad_clip)
    torch._foreach_mul_(velocity, config.momentum)
    torch._foreach_add_(velocity, gradients)
    torch._foreach_add_(weights, gradients, alpha=-lr)
    torch._foreach_add_(weights, velocity, alpha=-lr * config.momentum)


def distillation(config, dataset: data.Dataset, device: torch.device, teacher=None):
    """The function (images, labels) -> labels that mixes in the softmax of the run `teacher`: alpha
    on the labels, 1 - alpha on the teacher's softmax at temperature 1."""
    if config.teacher is None:
        return lambda images, labels: labels
    if teacher is None:
        accepted = "the run of config.teacher, as runs.sweep hands it over"
        raise StudyError(f"teacher: got no run of it; accepted: {accepted}")
    config.check_teacher(dataset)
    network, alpha = config.teacher.build(), config.true_label_weight
    network.load_state_dict(teacher.weights(config.teacher.num_epochs))
    network.to(device, memory_format=torch.channels_last).eval()

    def teach(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = network(images.contiguous(memory_format=torch.channels_last))
        return alpha * labels + (1 - alpha) * F.softmax(logits, dim=1)

    return teach


class Labels:
    """What a run learns: its labels, smoothed by its wave and mixed with its teacher's outputs."""

    def __init__(self, config, dataset: data.Dataset, device: torch.device, teacher):
        self.config, self.dataset = config, dataset
        self.wave = label_waves.wave(config.wave, config.frequency, dataset.image_shape)
        self.teach = distillation(config, dataset, device, teacher)

    def smooth(self, labels: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        amplitude, only = self.config.amplitude, self.config.wave_class
        waves, num_classes = self.wave(images), self.dataset.num_classes
        return label_waves.smooth_labels(labels, waves, amplitude, num_classes, only)

    def __call__(self, labels, images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """labels: (n, classes); images: as the network sees them; pixels: raw, unaugmented."""
        if self.wave:
            clean = self.config.wave_on == "clean"
            labels = self.smooth(labels, self.dataset.normalize(pixels) if clean else images)
        return self.teach(images, labels)


def look(model, images: torch.Tensor, labels, dataset: data.Dataset) -> dict:
    """One row of the history, see `train`."""
    logs = F.log_softmax(predict(model, images, dataset), dim=1)
    right = logs.argmax(1) == labels
    row = {"test_loss": F.nll_loss(logs, labels).item(), "test_accuracy": right.double().mean()}
    kept = {"log_true": logs.gather(1, labels[:, None])[:, 0], "log_mean": logs.mean(1)}
    halves = {name: values.clamp(min=-6e4).half() for name, values in kept.items()}
    return {name: np.asarray(torch.as_tensor(one).cpu()) for name, one in (row | halves).items()}


def train(config, device: torch.device, checkpoints: list[int], teacher=None) -> tuple[dict, dict]:
    """Train the network of a TrainingConfig, taught by the run `teacher` where there is one.
    Returns (history, weights). history: arrays over the evaluated epochs: epoch, train_loss (noisy
    labels, augmented images), test_loss, test_accuracy, losses in nats, without weight decay; and,
    (epochs, test images) in float16, log_true, the log-probability of each image's true class, and
    log_mean, the mean over classes: all that any label wave's measures need. weights:
    "EPOCH/name" -> tensor, at `checkpoints`. Raises StudyError when the loss stops being finite."""
    dataset = config.load_data()
    order = np.random.default_rng(config.seed).permutation(len(dataset.x_train))[: config.num_train]
    x_train, y_train = dataset.x_train[order].to(device), dataset.y_train[order].to(device)
    hard_labels = F.one_hot(y_train, dataset.num_classes).float()
    model = config.build().to(device, memory_format=torch.channels_last).train()
    labels = Labels(config, dataset, device, teacher)
    x_test, y_test = dataset.x_test.to(device), dataset.y_test.to(device)
    epochs = _epochs(config, model, dataset, x_train, hard_labels, labels)
    rows, weights = [], {}
    for epoch, train_loss in enumerate(epochs, 1):
        if not math.isfinite(train_loss):
            reason = f"epoch {epoch} of {config.described()}"
            raise StudyError(f"training diverged in {reason}: try a lower lr")
        if epoch in checkpoints:
            state = model.state_dict()
            kept = {name: value.detach().cpu().contiguous() for name, value in state.items()}
            weights |= {f"{epoch}/{name}": value.clone() for name, value in kept.items()}
        if epoch % config.eval_every == 0 or epoch == config.num_epochs:
            row = look(model, x_test, y_test, dataset)
            rows.append({"epoch": epoch, "train_loss": train_loss} | row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, weights


def _epochs(config, model, dataset, x_train, hard_labels, labels: Labels):
    """Train epoch after epoch; yields the mean loss of each."""
    generator = torch.Generator(x_train.device).manual_seed(config.own_seed())
    batch_size = min(config.batch_size, len(x_train))
    used = len(x_train) // batch_size * batch_size
    num_steps, step = config.num_epochs * (used // batch_size), 0
    gpu, pipeline = x_train.is_cuda, data.Pipeline(config.augmentation)
    gradients = Gradients(model, config.precision == "bf16" or (config.precision == "auto" and gpu))
    weights = list(model.parameters())
    velocity = [torch.zeros_like(weight) for weight in weights]
    for _ in range(config.num_epochs):
        losses = []
        shuffled = torch.randperm(len(x_train), device=x_train.device, generator=generator)
        for batch in shuffled[:used].split(batch_size):
            pixels = x_train[batch]
            images = dataset.normalize(pipeline.raw(pixels))
            images, targets = pipeline.normalized(images, hard_labels[batch], generator)
            losses.append(gradients(images, labels(targets, images, pixels)))
            update(weights, velocity, cosine(config.lr, step, num_steps), config)
            step += 1
        yield torch.stack(losses).mean().item()
