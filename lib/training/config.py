"""What a training run is: its fields, its key, and what it needs. Defaults are the released code's:
Nesterov, a cosine per step to 0, weight decay (wd / 2) ||w||^2 on all, in the clipped gradient."""

import dataclasses
import functools
import re
from typing import ClassVar

import torch

from lib import data, doors, models
from lib.parameters import Config, StudyError, refusal
from lib.training import label_waves, loop

# of data, what makes arrays (sources, photos) is not among it: a run knows them by their content
MADE_BY = tuple(f"data/{name}.py" for name in ("augmentation", "datasets", "fourier_basis"))
MADE_BY += ("models/families.py", "models/residual.py", "training")
STARTS_APART = 1_000_003  # seeds that two starts of one seed are apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
    """What one run is. Two runs with equal fields and equal data are the same run."""

    kind: ClassVar[str] = "classifier"
    version: ClassVar[int] = 3
    made_by: ClassVar = MADE_BY

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
    augmentation: str = "flip_crop+cutout"  # see lib.data.augmentation
    wave: str = "none"  # none, uniform, radial, fourier:I,J, random:SEED, f, 1/f
    frequency: float = 0.0  # cycles per nu
    amplitude: float = 0.0  # batch mean of the smoothing
    wave_on: str = "augmented"  # the image the wave is computed on
    wave_class: int | None = None  # the class whose labels alone have the wave; None: all have
    precision: str = "auto"  # of the passes in training: bf16, fp32; auto: bf16 on a GPU only
    eval_every: int = 1  # epochs between looks at the test set; the last one is always looked at
    teacher: "TrainingConfig | None" = None  # distillation: the run whose softmax is learned
    true_label_weight: float = 1.0  # distillation: alpha, the weight on the true labels
    start: int = 0  # which of a seed's initialisations and orders; its images stay the same

    def __post_init__(self):
        super().__post_init__()
        data.Pipeline(self.augmentation)
        weight = self.true_label_weight
        if (self.teacher is None) != (weight == 1):
            raise refusal("true_label_weight", weight, "below 1 with a teacher, else 1")
        if (self.wave == "none") != (self.amplitude == 0):
            accepted = f"0 for wave none, else above; wave is {self.wave}"
            raise refusal("amplitude", self.amplitude, accepted)
        if self.wave == "none" and self.wave_class is not None:
            raise refusal("wave_class", self.wave_class, "None without a wave")

    def control(self) -> "TrainingConfig":
        """The same run with labels smoothed as much, but evenly: what a wave is compared with."""
        return dataclasses.replace(self, wave="uniform", frequency=0.0, wave_on="augmented")

    def own_seed(self) -> int:
        """Of the initialisation, the order and all chance in training."""
        return self.seed + STARTS_APART * self.start

    def load_data(self) -> data.Dataset:
        dataset = data.load(self.dataset, self.num_test)
        if (self.num_train or 1) > len(dataset.x_train):
            raise refusal("num_train", self.num_train, f"at most {len(dataset.x_train)}")
        return dataset

    def identity(self) -> dict:
        """The fields that differ from their defaults, the data by its content. Raises StudyError
        where data, model or wave can't be had: before anything is trained."""
        dataset, fields = self.load_data(), super().identity()
        _try_model(self.model, dataset.image_shape, dataset.num_classes, doors.source(self.model))
        label_waves.wave(self.wave, self.frequency, dataset.image_shape)
        if not (self.wave_class is None or 0 <= self.wave_class < dataset.num_classes):
            raise refusal("wave_class", self.wave_class, f"0 to {dataset.num_classes - 1}")
        if self.teacher is not None:
            self.check_teacher(dataset)
            fields["teacher"] = self.teacher.identity()
        own = {"model": doors.plain(self.model), "augmentation": doors.plain(self.augmentation)}
        fields |= {name: value for name, value in own.items() if name in fields}
        if source := doors.source(f"{self.model}+{self.augmentation}"):
            fields["source"] = source
        return fields | {"dataset": dataset.fingerprint}

    def check_teacher(self, dataset: data.Dataset) -> None:
        """Raise StudyError when the teacher knows other classes or images of another shape."""
        known = self.teacher.load_data()
        taught, wanted = ((one.num_classes, one.image_shape) for one in (known, dataset))
        if taught != wanted:
            accepted = f"{wanted[0]}, and images {wanted[1]}, as {dataset.name}"
            raise StudyError(f"teacher: got one of {taught[0]} classes; accepted: {accepted}")

    def needs(self) -> list:
        """The configurations whose runs this one reads: they are executed first."""
        return [] if self.teacher is None else [self.teacher]

    def described(self) -> dict:
        """All fields as plain values: a file without its folder, and the fingerprint of the data;
        a teacher as its generation."""
        generation = 0 if self.teacher is None else 1 + self.teacher.described()["generation"]
        fields = {name: value for name, value in vars(self).items() if name != "teacher"}
        plain = {name: doors.plain(fields[name]) for name in ("model", "augmentation")}
        plain["dataset"] = doors.plain(re.sub(r":.*/", ":", self.dataset))
        its = {"fingerprint": self.load_data().fingerprint, "generation": generation}
        return fields | plain | its

    @classmethod
    def defaults(cls) -> dict:
        fields = super().defaults() | {"generation": 0}
        return {name: value for name, value in fields.items() if name != "teacher"}

    def build(self) -> torch.nn.Module:
        """The untrained network of this run."""
        dataset = self.load_data()
        return models.build(self.model, dataset.image_shape, dataset.num_classes, self.own_seed())

    def execute(self, device: torch.device, teacher=None) -> tuple[dict, dict]:
        """`loop.train`; teacher: the runs.Run of what this configuration `needs`."""
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.own_seed())  # of networks and policies that draw their own noise
            return loop.train(self, device, checkpoint_epochs(self.num_epochs), teacher)


@functools.lru_cache(maxsize=64)
def _try_model(name: str, image_shape: tuple[int, int, int], num_classes: int, source) -> None:
    models.build(name, image_shape, num_classes)


def checkpoint_epochs(num_epochs: int) -> list[int]:
    """Epochs whose weights a run keeps: 1, 2, 4, ... and the last."""
    return sorted({num_epochs, *(2**k for k in range(num_epochs.bit_length()))})
