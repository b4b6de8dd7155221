"""Sources of x_train, y_train, x_test, y_test: scikit-learn, npz files, torchvision's downloads."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from lib.parameters import StudyError, folder

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


def in_data_folder(path) -> Path:
    """`path`, absolute or from the folder STUDY_DATA (by default data/)."""
    return folder("STUDY_DATA", "data") / Path(path).expanduser()


def digits() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))  # the file is ordered by writer
    x, y = (15 * x).reshape(-1, 8, 8)[order].astype(np.uint8), y[order]  # 0..16 -> 0..240
    return x[:1297], y[:1297], x[1297:], y[1297:]


def npz(path: str) -> list[np.ndarray]:
    """The arrays of an npz file, which is never unpickled. Raises StudyError when it lacks one."""
    try:
        archive = np.load(in_data_folder(path), allow_pickle=False)
        missing = [key for key in NPZ_KEYS if key not in getattr(archive, "files", ())]
        if not missing:
            return [archive[key] for key in NPZ_KEYS]
        reason = f"lacks {', '.join(missing)}"
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"cannot be read ({str(error).splitlines()[0]})"
    raise StudyError(f"dataset: npz:{path} {reason}; accepted: an npz with {', '.join(NPZ_KEYS)}")


def download(name: str) -> list[np.ndarray]:
    """cifar10, cifar100 or svhn by torchvision, with its checksums. Raises StudyError."""
    from torchvision import datasets

    root, kind = folder("STUDY_DATA", "data"), getattr(datasets, name.upper())
    splits = ("train", "test") if name == "svhn" else (True, False)
    try:
        parts = [kind(root, split, download=True) for split in splits]
    except (RuntimeError, OSError) as error:
        reason = f"could not be downloaded into {root.name}/ ({str(error).strip().splitlines()[0]})"
        raise StudyError(f"dataset: {name} {reason}; or use npz:PATH") from error
    if name == "svhn":
        return [array for part in parts for array in (part.data.transpose(0, 2, 3, 1), part.labels)]
    return [array for part in parts for array in (part.data, np.asarray(part.targets))]
