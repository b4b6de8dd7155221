"""The measures of paths as columns of tables."""

OUTPUTS = {"softmax": "softmax", "logits": "standardised logits"}
MULTIPLES = (1, 2, 4)  # of the cutoff: where power out of band is judged


def column(measure: str, output: str, multiple: float) -> str:
    """The column of a measure (power, floor, share) of an output above a multiple of the cutoff."""
    return f"{measure}_{output}_{multiple:.3g}"


PRIMARY = column("power", "softmax", 1)  # the others beside it
VARIANTS = [
    column(measure, output, multiple)
    for output in OUTPUTS
    for measure in ("power", "share")
    for multiple in MULTIPLES
]
