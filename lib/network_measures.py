"""What one network does at test images: the measures that need no path."""

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.stats
import torch

EXACT_CLASSES = 100  # the Jacobian of more outputs is estimated by random projections
NUM_PROJECTIONS = 8


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the cross-entropy of logits (n, C) against labels (n,)."""
    logits = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def jacobian_norms(model: torch.nn.Module, images: torch.Tensor, batch_size: int = 100) -> np.ndarray:
    """Frobenius norm of d softmax / d image at each of images (n, C, H, W), per nu: (n,).

    Of more than 100 outputs the root of an unbiased estimate of its square, from 8 random projections (Hutchinson).
    """
    norms, noise = [], torch.Generator().manual_seed(0)
    for batch in images.split(batch_size):
        batch = batch.contiguous(memory_format=torch.channels_last).requires_grad_()
        outputs = model(batch).softmax(1)  # the images of a batch do not see each other in eval mode
        directions = torch.eye(outputs.shape[1])
        if len(directions) > EXACT_CLASSES:
            signs = torch.randint(0, 2, (NUM_PROJECTIONS, outputs.shape[1]), generator=noise)
            directions = (2.0 * signs - 1) / NUM_PROJECTIONS**0.5
        gradients = [torch.autograd.grad((outputs * direction).sum(), batch, retain_graph=True)[0]
                     for direction in directions.to(outputs)]  # fmt: skip
        squares = [gradient.flatten(1).pow(2).sum(1) for gradient in gradients]
        norms.append(torch.stack(squares).sum(0).sqrt().detach())
    return torch.cat(norms).cpu().numpy()


def jacobian_norm(model: torch.nn.Module, images: torch.Tensor, batch_size: int = 100) -> float:
    """Mean of `jacobian_norms`."""
    return float(jacobian_norms(model, images, batch_size).mean())


def frequency_principle(images: torch.Tensor, labels: torch.Tensor, outputs: torch.Tensor) -> tuple[float, float]:
    """Relative errors of outputs (n, C) against one-hot labels, in their low and their high frequencies.

    Low: smoothed over the samples by a Gaussian kernel, whose width is half the median distance to the nearest
    tenth of the samples; high: the rest (Xu et al., "Frequency principle", filtering method).
    """
    distances = torch.cdist(images.flatten(1), images.flatten(1))
    width = distances.quantile(0.1, dim=1).median() / 2
    kernel = torch.exp(-(distances**2) / (2 * width**2)).double()
    kernel /= kernel.sum(1, keepdim=True)
    targets = torch.nn.functional.one_hot(labels, outputs.shape[1]).double()
    error, low_targets, low_error = targets - outputs.double(), kernel @ targets, kernel @ (targets - outputs.double())
    low = low_error.norm() / low_targets.norm()
    high = (error - low_error).norm() / (targets - low_targets).norm()
    return low.item(), high.item()


def at_images(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, limit: int = 500,
              batch_size: int = 100) -> pd.DataFrame:  # fmt: skip
    """One row of measures that need no path, over the first `limit` test images: jacobian_norm with its 95 % bootstrap
    interval over images (jacobian_low, jacobian_high), low_error and high_error of `frequency_principle`."""
    images = images[:limit]
    labels = labels[: len(images)].to(images.device)
    with torch.inference_mode():
        outputs = torch.cat([model(batch.contiguous(memory_format=torch.channels_last)).softmax(1)
                             for batch in images.split(batch_size)])  # fmt: skip
        low, high = frequency_principle(images, labels, outputs)
    norms = jacobian_norms(model, images, batch_size)
    interval = (np.nan, np.nan)
    if len(norms) > 1:
        interval = scipy.stats.bootstrap((norms,), np.mean, n_resamples=1000, method="percentile",
                                         rng=np.random.default_rng(0)).confidence_interval  # fmt: skip
    return pd.DataFrame({"jacobian_norm": [float(norms.mean())], "jacobian_low": interval[0],
                         "jacobian_high": interval[1], "low_error": low, "high_error": high})  # fmt: skip
