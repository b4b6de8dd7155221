"""What a reader computes in a few lines of NumPy, held beside what lib computes."""

import numpy as np


def same(what: str, by_hand, in_lib, within: float = 1e-6, unit: float = 0.0) -> None:
    """Print one line: the absolute value as both have it (of arrays, how many values and the
    largest), and how far they are apart. Raises AssertionError for other shapes, and for a
    difference of more than `within` times the largest absolute value in_lib, or times `unit`, the
    quantity's own size, where that is more: 1e-6 is for float64, 1e-4 for what went through a
    network in float32. NaN equals NaN: a mean over no path."""
    ours, theirs = (np.asarray(values, dtype=float) for values in (by_hand, in_lib))
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape} by hand, {theirs.shape} by lib"
    both = np.isnan(ours) & np.isnan(theirs)
    apart = np.where(both, 0.0, np.abs(ours - theirs)).max()
    sizes = [np.abs(one).max() for one in (ours, theirs)]
    largest = f"{theirs.size} numbers, largest " if theirs.ndim else ""
    numbers = f"{largest}{sizes[0]:.4g} by hand, {sizes[1]:.4g} by lib"
    print(f"{what}: {numbers}; {apart:.0e} apart")
    assert apart <= within * max(unit, np.nan_to_num(sizes[1])), f"{what}: not the same"
