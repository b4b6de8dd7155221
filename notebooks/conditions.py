"""The interventions of the study: what each notebook varies, as configurations by condition, so
that the synthesis takes the very runs that the notebooks take. `common`: the fields that all share.
"""

import pandas as pd

from lib.training import TrainingConfig

SMOOTHING = {"wave": "uniform", "amplitude": 0.5}  # what frequency augmentation does to labels


def by_family(common: dict, families: list[str], seeds: list[int]) -> dict:
    """{(model, seed): configuration}"""
    fields = [(name, {"model": name}) for name in families]
    return _grid(common, fields, seeds)


def by_weight_decay(common: dict, weight_decays: list[float], seeds: list[int]) -> dict:
    """{(decay, seed): configuration}"""
    return _grid(common, [(decay, {"weight_decay": decay}) for decay in weight_decays], seeds)


def by_augmentation(common: dict, augmentations: list[str], seeds: list[int]) -> dict:
    """{(augmentation, seed): configuration}"""
    return _grid(common, [(name, {"augmentation": name}) for name in augmentations], seeds)


def training_plan(common: dict, shares: list[float]) -> pd.DataFrame:
    """One row a size of the training set and what is fixed over sizes, "steps" or "epochs":
    num_train, num_epochs, steps. A seed draws one order of the images; smaller sets lie inside."""
    num_train, num_epochs, batch = (common[k] for k in ("num_train", "num_epochs", "batch_size"))
    sizes = sorted({max(10, round(share * num_train)) for share in shares})
    an_epoch = {size: size // min(batch, size) for size in sizes}
    rows = []
    for size in sizes:
        same_steps = round(num_epochs * an_epoch[max(sizes)] / an_epoch[size])
        rows += [("steps", size, same_steps), ("epochs", size, num_epochs)]
    plan = pd.DataFrame(rows, columns=["fixed", "num_train", "num_epochs"])
    return plan.assign(steps=plan["num_epochs"] * plan["num_train"].map(an_epoch))


def by_training_examples(common: dict, shares: list[float], seeds: list[int], fixed: str) -> dict:
    """{(num_train, seed): configuration} with fixed "steps" or "epochs", see `training_plan`;
    looked at as often as the usual run."""
    plan, fields = training_plan(common, shares), []
    for row in plan[plan["fixed"] == fixed].itertuples():
        length = {"num_train": row.num_train, "num_epochs": row.num_epochs}
        every = -(-row.num_epochs // common["num_epochs"])
        fields.append((row.num_train, length | {"eval_every": every}))
    return _grid(common, fields, seeds)


def by_distillation(common: dict, weights: list[float], generations: int, seeds: list[int]) -> dict:
    """{(alpha, generation, seed): configuration}: alpha 1, generation 0 has no teacher; each later
    generation is taught by the one before, with an initialisation and an order of its own."""
    configs = {(1.0, 0, seed): TrainingConfig(**common, seed=seed) for seed in seeds}
    for seed in seeds:
        for number, alpha in enumerate(weights):
            student = configs[1.0, 0, seed]
            for generation in range(1, generations + 1):
                own = {"start": generation + number * generations, "seed": seed}
                taught = {"teacher": student, "true_label_weight": alpha}
                student = TrainingConfig(**common, **taught, **own)
                configs[alpha, generation, seed] = student
    return configs


def by_frequency_augmentation(common: dict, norms: list[float], seeds: list[int]) -> dict:
    """{(arm, seed): configuration}: none; smoothing, labels smoothed by one half and images left
    alone; and f and 1/f of each norm (nu), which perturb images and smooth labels so."""
    given = common.get("augmentation", "none")
    before, fields = (
        "" if given == "none" else f"{given}+",
        [("none", {}), ("smoothing", SMOOTHING)],
    )
    for norm in norms:
        for arm, fraction in (("f", 1), ("1/f", 0)):
            name = arm if norm == max(norms) else f"{arm}, {norm:g} nu"
            fields.append((name, {"augmentation": f"{before}frequency:{fraction}:{norm:g}"}))
    return _grid(common, fields, seeds)


def _grid(common: dict, fields: list[tuple], seeds: list[int]) -> dict:
    return {
        (name, seed): TrainingConfig(**(common | changes), seed=seed)
        for name, changes in fields
        for seed in seeds
    }
