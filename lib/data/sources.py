"""Sources of x_train, y_train, x_test, y_test: scikit-learn, npz files, torchvision's downloads."""

from pathlib import Path

import numpy as np

from lib import doors
from lib.parameters import StudyError, folder, refusal

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_BYTES = 2**34  # of an npz, unpacked


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
        if missing:
            reason = f"lacks {', '.join(missing)}"
        elif (size := sum(part.file_size for part in archive.zip.infolist())) > MOST_BYTES:
            reason = f"unpacks to {size / 2**30:.0f} GiB, over {MOST_BYTES / 2**30:.0f}"
        else:
            return [archive[key] for key in NPZ_KEYS]
    except Exception as error:  # of zipfile, zlib and NumPy, a dozen kinds
        reason = f"cannot be read ({' '.join(str(error).split())[:150] or type(error).__name__})"
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


def own(name: str) -> tuple:
    """The four arrays that one's own function module:NAME or FILE.py:NAME returns. Raises
    StudyError."""
    arrays = doors.enter(name)()
    if not isinstance(arrays, tuple | list) or len(arrays) != len(NPZ_KEYS):
        raise refusal(f"dataset: {name} returned", type(arrays).__name__, ", ".join(NPZ_KEYS))
    return tuple(arrays)
