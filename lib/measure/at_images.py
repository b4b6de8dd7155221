"""What one network does at test images: the measures that need no path."""

import numpy as np
import pandas as pd
import torch

from lib.measure.forward import Forward, usual_batch
from lib.parameters import StudyError
from lib.resampling import bootstrap

EXACT_CLASSES = 100  # the Jacobian of more outputs is estimated by random projections
NUM_PROJECTIONS = 8
MOST_IMAGES, MOST_NUMBERS = 500, 2**23  # looked at, and pixels that they may have together
MOST_PROJECTED_IMAGES = 32  # so that networks of 1,000 classes spend their time along paths


def jacobian_norms(model, images: torch.Tensor, batch_size: int = 100) -> np.ndarray:
    """Frobenius norm of d softmax / d image at each of images (n, C, H, W), per nu: (n,). Of more
    than 100 outputs the root of an unbiased estimate of its square, from 8 random projections
    (Hoffman et al., arXiv 1908.02729). Raises StudyError where torch knows no gradient."""
    norms, noise = [], torch.Generator().manual_seed(0)
    for part in images.split(batch_size):
        batch = part.contiguous(memory_format=torch.channels_last).requires_grad_()
        outputs = model(batch).softmax(1)  # in eval mode the images of a batch don't see each other
        if not outputs.requires_grad:
            accepted = "what torch can differentiate by the image"
            raise StudyError(f"network: got outputs without a gradient; accepted: {accepted}")
        directions = torch.eye(outputs.shape[1])
        if len(directions) > EXACT_CLASSES:
            size = (len(part), NUM_PROJECTIONS, outputs.shape[1])  # whatever the batch, the same
            signs = torch.randint(0, 2, size, generator=noise).transpose(0, 1)
            directions = (2.0 * signs - 1) / NUM_PROJECTIONS**0.5
        projected = ((outputs * direction).sum() for direction in directions.to(outputs))
        gradients = (torch.autograd.grad(one, batch, retain_graph=True)[0] for one in projected)
        squares = [gradient.flatten(1).pow(2).sum(1) for gradient in gradients]
        norms.append(torch.stack(squares).sum(0).sqrt().detach())
    return torch.cat(norms).cpu().numpy()


def num_images(forward: Forward) -> int:
    """How many test images `at_images` looks at."""
    fitting = max(20, MOST_NUMBERS // forward.dataset.x_test[0].numel())
    most = MOST_IMAGES if forward.num_classes <= EXACT_CLASSES else MOST_PROJECTED_IMAGES
    return min(most, fitting, len(forward.dataset.x_test))


def at_images(forward: Forward) -> pd.DataFrame:
    """One row, over the first test images: jacobian_norm with its 95 % bootstrap interval over
    images (jacobian_low, jacobian_high)."""
    images = forward.normalized(forward.dataset.x_test[: num_images(forward)])
    size = usual_batch(images.shape[1:], torch.device("cpu"))  # a graph takes memory on a GPU, too
    norms = jacobian_norms(forward.model, images, size)
    interval = bootstrap(norms, np.arange(len(norms)), 1000)[:3]
    names = ("jacobian_norm", "jacobian_low", "jacobian_high")
    return pd.DataFrame([interval], columns=names)
