import ast
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import safetensors.torch
import torch

from lib import parallel, runs
from lib.parameters import ROOT, StudyError
from lib.training import TrainingConfig

CPU = torch.device("cpu")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
FILES = {"config.json", "history.npz", "weights.safetensors"}


@dataclasses.dataclass(frozen=True)
class Toy:
    """A configuration whose execution is a line; `executed` lists the values that were."""

    kind: ClassVar[str] = "toy"
    version: ClassVar[int] = 1
    executed: ClassVar[list] = []

    value: int
    fails: bool = False

    def identity(self):
        return {"value": self.value}

    def described(self):
        return dataclasses.asdict(self)

    def execute(self, device):
        if self.fails:
            raise RuntimeError("the power went off")
        Toy.executed.append(self.value)
        return {"epoch": np.array([1, 2]), "twice": np.array([0.5, 2.0 * self.value])}, {"1/w": torch.ones(2)}


@dataclasses.dataclass(frozen=True)
class Weightless(Toy):
    def execute(self, device):
        return {"epoch": np.array([1])}, {}


@pytest.fixture(autouse=True)
def nothing_executed(monkeypatch):
    monkeypatch.setattr(Toy, "executed", [])
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def histories(found):
    return {run.key: {name: run.array(name) for name in np.load(run.path / "history.npz").files} for run in found}


def assert_same_histories(first, second):
    assert first.keys() == second.keys()
    for key, arrays in first.items():
        assert arrays.keys() == second[key].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, second[key][name])


def test_key_ignores_defaults_that_are_given(configure):
    given = {"num_train": None, "batch_size": 256, "lr": 0.1, "wave": "none", "wave_on": "augmented"}
    assert runs.key_of(configure(**given)) == runs.key_of(configure())


def test_key_does_not_depend_on_how_a_number_is_written(configure):
    one, same = configure(lr=1, weight_decay=0), configure(lr=1.0, weight_decay=0.0)
    assert one == same
    assert runs.key_of(one) == runs.key_of(same)


OTHER = {"model": "mlp-1-17", "seed": 1, "num_epochs": 3, "num_train": 100, "num_test": 100, "batch_size": 128,
         "lr": 0.2, "momentum": 0.8, "weight_decay": 1e-3, "grad_clip": 1.0, "augmentation": "flip_crop",
         "wave_on": "clean", "eval_every": 2, "precision": "bf16"}  # fmt: skip
WAVE = {"wave": "radial", "frequency": 0.1, "amplitude": 0.3}


def test_key_changes_with_any_field(configure):
    changes = [{}, *({name: value} for name, value in OTHER.items())]
    changes += [WAVE, WAVE | {"wave": "f"}, WAVE | {"frequency": 0.2}, WAVE | {"amplitude": 0.4}]
    changes += [{"teacher": configure(), "true_label_weight": 0.5}, {"teacher": configure(), "true_label_weight": 0.2},
                {"teacher": configure(lr=0.3), "true_label_weight": 0.5}]  # fmt: skip
    tried = {name for change in changes for name in change} | {"dataset"}
    assert tried == {field.name for field in dataclasses.fields(TrainingConfig)}
    keys = [runs.key_of(configure(**change)) for change in changes]
    assert len(set(keys)) == len(keys)


def test_key_changes_with_version_and_kind(configure, monkeypatch):
    keys = [runs.key_of(configure())]
    for name, value in (("version", TrainingConfig.version + 1), ("kind", "other")):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingConfig, name, value)
            keys.append(runs.key_of(configure()))
    assert len(set(keys)) == 3


def test_key_goes_with_the_content_of_the_data(configure, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (20, 4, 4), dtype=np.uint8), "y_train": np.arange(20) % 2}
    arrays |= {"x_test": arrays["x_train"], "y_test": arrays["y_train"]}
    for name in ("a", "copy", "other"):
        if name == "other":
            arrays["x_test"] = 255 - arrays["x_test"]
        np.savez(tmp_path / f"{name}.npz", **arrays)
    keys = [runs.key_of(configure(dataset=f"npz:{tmp_path / name}.npz")) for name in ("a", "copy", "other")]
    assert keys[0] == keys[1] != keys[2]


def test_hash_is_canonical():
    assert runs.hash_of({"b": 1, "a": [1.5, None]}) == runs.hash_of({"a": [1.5, None], "b": 1})
    assert len(runs.hash_of({})) == 16
    with pytest.raises(ValueError, match="JSON"):
        runs.hash_of(float("nan"))


def test_reading_back_gives_what_was_trained(configure, store):
    config = configure(wave="radial", frequency=0.2, amplitude=0.3, num_epochs=3)
    run = runs.find_or_execute(config, "cpu")
    with runs.single_thread():
        history, weights = config.execute(CPU)
    assert {path.name for path in run.path.iterdir()} == FILES
    assert run.path == store / runs.key_of(config)
    for name, values in history.items():
        np.testing.assert_array_equal(run.history[name], values)
        np.testing.assert_array_equal(run.array(name), values)
    for epoch in (1, 2, 3):
        for name, tensor in run.weights(epoch).items():
            assert torch.equal(tensor, weights[f"{epoch}/{name}"])
    assert len(run.weights(3)) == len(weights) / 3
    assert run.config == config.described()
    assert set(run.history["seed"]) == {0}
    assert set(run.history["key"]) == {run.key}


def test_weights_of_an_epoch_that_was_not_kept(configure, store):
    run = runs.find_or_execute(configure(num_epochs=3))
    with pytest.raises(StudyError, match=r"^epoch: got 7; accepted: 1, 2, 3"):
        run.weights(7)


def test_run_without_weights(store):
    run = runs.find_or_execute(Weightless(3))
    assert {path.name for path in run.path.iterdir()} == {"config.json", "history.npz"}
    assert runs.open_run(run.path).history["epoch"].tolist() == [1]


def test_record_names_no_folder(configure, store, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 4, 4), dtype=np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    run = runs.find_or_execute(configure(dataset=f"npz:{tmp_path / 'mine.npz'}"))
    assert run.config["dataset"] == "npz:mine.npz"
    assert str(tmp_path) not in (run.path / "config.json").read_text()


def test_equal_configurations_are_executed_once(store):
    found = runs.sweep([Toy(1), Toy(1), Toy(1)], "cpu")
    assert Toy.executed == [1]
    assert len({run.key for run in found}) == 1
    runs.sweep([Toy(1)], "cpu")
    runs.find_or_execute(Toy(1), "cpu")
    assert Toy.executed == [1]
    assert visible(store) == [found[0].key]


def test_sweep_gives_runs_in_order(store):
    order = [3, 1, 2, 1]
    found = runs.sweep([Toy(value) for value in order], "cpu")
    assert [run.array("twice")[1] for run in found] == [2.0 * value for value in order]
    assert {run.key for run in runs.all_runs()} == {run.key for run in found}


def test_sweep_in_worker_processes_gives_the_numbers_of_this_process(configure, store, monkeypatch, tmp_path):
    configs = [configure(seed=seed) for seed in range(3)]
    swept = histories(runs.sweep(configs, "cpu"))
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    assert_same_histories(swept, histories([runs.find_or_execute(config, "cpu") for config in configs]))


def test_sweep_trains_the_teacher_first(configure, store):
    teacher = configure(seed=5)
    students = [configure(seed=seed, teacher=teacher, true_label_weight=0.5) for seed in (0, 1)]
    runs.sweep(students, "cpu")
    assert visible(store) == sorted(map(runs.key_of, [teacher, *students]))


def test_sweep_of_nothing_is_refused():
    with pytest.raises(StudyError, match=r"^sweep: "):
        runs.sweep([])


@pytest.mark.parametrize(
    "fields",
    [{"model": "mlp-0-1"}, {"num_train": 10**6}, {"dataset": "mnist"},
     {"wave": "square", "amplitude": 0.1, "frequency": 0.1}],
)  # fmt: skip
def test_one_bad_configuration_stops_a_sweep_before_it_trains(configure, store, fields):
    with pytest.raises(StudyError):
        runs.sweep([configure(seed=seed) for seed in range(3)] + [configure(**fields)], "cpu")
    assert not store.exists() or list(store.iterdir()) == []


def test_crash_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="power"):
        runs.find_or_execute(Toy(1, fails=True), "cpu")
    assert list(store.iterdir()) == []


def test_crash_in_a_worker_leaves_the_other_runs(store):
    configs = [Toy(1), Toy(2, fails=True), Toy(3)]
    with pytest.raises(RuntimeError, match="power"):
        runs.sweep(configs, "cpu")
    assert runs.key_of(configs[1]) not in visible(store)
    assert all(run.config["value"] in (1, 3) for run in runs.all_runs())
    assert [path for path in store.iterdir() if path.name.startswith(".")] == []


def test_divergence_leaves_nothing(configure, store):
    with pytest.raises(StudyError, match="diverged"):
        runs.sweep([configure(lr=1e30, grad_clip=1e30)], "cpu")
    assert list(store.iterdir()) == []


def test_crash_while_writing_leaves_nothing(store, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(StudyError, match=r"^store: run [0-9a-f]{16} could not be written \(No space left"):
        runs.find_or_execute(Toy(1), "cpu")
    assert list(store.iterdir()) == []


def truncate(file):
    file.write_bytes(file.read_bytes()[:-7])


def empty(file):
    file.write_bytes(b"")


def lengthen(file):
    file.write_bytes(file.read_bytes() + b"more")


def remove(file):
    file.unlink()


DAMAGES = [(name, damage) for name in sorted(FILES) for damage in (truncate, empty, remove, lengthen)]


# weights that are not there at all were left behind on purpose, see test_travel
@pytest.mark.parametrize(("name", "damage"), [d for d in DAMAGES if d != ("weights.safetensors", remove)])
def test_damaged_run_is_named_and_nothing_is_deleted_or_trained(store, name, damage):
    runs.sweep([Toy(1), Toy(2)], "cpu")
    key = runs.key_of(Toy(1))
    damage(store / key / name)
    before = {path: path.stat().st_size for path in store.rglob("*")}
    Toy.executed.clear()
    attempts = [
        lambda: runs.sweep([Toy(3), Toy(1)], "cpu"),
        lambda: runs.find_or_execute(Toy(1), "cpu"),
        lambda: runs.open_run(store / key),
        runs.all_runs,
    ]
    for attempt in attempts:
        with pytest.raises(StudyError, match=f"^store: run {key} is damaged: {name} ") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert {path: path.stat().st_size for path in store.rglob("*")} == before
    assert Toy.executed == []


def overwrite_the_middle(file):
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    file.write_bytes(content)


@pytest.mark.parametrize("read", [lambda run: run.history, lambda run: run.array("twice")])
def test_bytes_changed_in_place_are_found_when_they_are_read(store, read):
    run = runs.find_or_execute(Toy(1), "cpu")
    overwrite_the_middle(run.path / "history.npz")
    with pytest.raises(StudyError, match=f"^store: run {run.key} is damaged: history.npz"):
        read(run)


def test_unknown_array_is_an_error(store):
    with pytest.raises(StudyError, match=r"history.npz"):
        runs.find_or_execute(Toy(1), "cpu").array("thrice")


@pytest.mark.parametrize("below", [(), ("deeper", "still")])
def test_store_that_cannot_be_written(tmp_path, monkeypatch, below):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STUDY_STORE", str(tmp_path.joinpath("file", *below)))
    with pytest.raises(StudyError, match=r"^store: .*cannot be written .*STUDY_STORE") as caught:
        runs.sweep([Toy(1)], "cpu")
    assert "\n" not in str(caught.value)
    assert Toy.executed == []


def test_what_killed_processes_left_is_swept_out_after_an_hour(store):
    store.mkdir()
    for name, age in (("old", 7200), ("young", 60)):
        folder = store / f".incomplete-{name}"
        folder.mkdir()
        (folder / "history.npz").write_text("half")
        os.utime(folder, (time.time() - age, time.time() - age))
    assert runs.all_runs() == []
    assert [path.name for path in store.iterdir()] == [".incomplete-young"]


def test_the_first_of_two_writers_stays(store, monkeypatch):
    """The other one's folder appears at the worst moment: just before this one's is renamed."""
    rename = Path.rename

    def late(self, target):
        if not target.exists():
            target.mkdir()
            (target / "theirs").write_text("first")
        return rename(self, target)

    store.mkdir()
    monkeypatch.setattr(Path, "rename", late)
    runs.write_atomically(store / "run", lambda folder: (folder / "mine").write_text("second"))
    assert visible(store / "run") == ["theirs"]
    assert visible(store) == ["run"]
    assert list(store.glob(".*")) == []


def test_a_run_on_the_cpu_has_one_thread(store, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(Toy, "execute", lambda *_: ({"threads": np.array([torch.get_num_threads()])}, {}))
    torch.set_num_threads(2)
    try:
        run = runs.find_or_execute(Toy(1), "cpu")
    finally:
        torch.set_num_threads(before)
    assert run.array("threads").tolist() == [1]


def test_one_thread_and_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with runs.single_thread():
            inside = torch.get_num_threads()
        with pytest.raises(KeyError), runs.single_thread():
            raise KeyError
        assert (inside, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)


# a process of its own, without importing everything anew where the system can fork
PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def sweep_at(barrier, configs):
    barrier.wait(60)
    runs.sweep(configs, "cpu")


def start_sweeps(count, configs):
    """`count` processes that start the same sweep at the same moment."""
    barrier = PROCESSES.Barrier(count)
    processes = [PROCESSES.Process(target=sweep_at, args=(barrier, configs)) for _ in range(count)]
    for process in processes:
        process.start()
    return processes


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_killed_sweep_is_finished_by_the_next_one(configure, store, monkeypatch, tmp_path):
    psutil = pytest.importorskip("psutil")
    configs = [configure(seed=seed, num_epochs=100) for seed in range(8)]
    store.mkdir()
    (process,) = start_sweeps(1, configs)
    wait_until(lambda: visible(store))
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    _, alive = psutil.wait_procs(workers, 20)
    for worker in alive:
        worker.kill()
    assert alive == []
    present = runs.all_runs()  # opens every one of them
    assert 1 <= len(present) < 8
    created = {run.key: (run.path / "history.npz").stat().st_mtime_ns for run in present}
    finished = runs.sweep(configs, "cpu")
    assert {key: (store / key / "history.npz").stat().st_mtime_ns for key in created} == created
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "uninterrupted"))
    assert_same_histories(histories(finished), histories(runs.sweep(configs, "cpu")))


def test_two_processes_make_the_same_run_at_once(configure, store):
    config = configure(num_epochs=60)
    processes = start_sweeps(2, [config])
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert visible(store) == [runs.key_of(config)]
    assert list(store.glob(".*")) == []
    assert len(runs.all_runs()[0].history) == 60


@dataclasses.dataclass(frozen=True)
class OutOfMemory(Toy):
    def execute(self, device):
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("not in a worker")


@pytest.mark.skipif(CORES < 2 or sys.platform == "win32", reason="no worker processes to kill")
def test_killed_worker_is_said_in_one_line(store):
    with pytest.raises(StudyError, match=r"worker process was killed .*finished runs are kept") as caught:
        runs.sweep([OutOfMemory(1), OutOfMemory(2)], "cpu")
    assert "\n" not in str(caught.value)
    assert list(store.iterdir()) == []


def test_dask_cluster_gives_the_same_histories(configure, store, monkeypatch, tmp_path):
    distributed = pytest.importorskip("distributed")
    configs = [configure(seed=seed) for seed in (0, 1)]
    with distributed.LocalCluster(n_workers=1, processes=True, threads_per_worker=1, dashboard_address=None) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        monkeypatch.setattr(TrainingConfig, "execute", lambda *_: pytest.fail("executed here, not on the cluster"))
        swept = histories(runs.sweep(configs, "cpu"))
    monkeypatch.undo()
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "other"))
    assert_same_histories(swept, histories([runs.find_or_execute(config, "cpu") for config in configs]))


def calls_in(file):
    """(dotted name, keywords as source) of every call in a file, and the names of the modules that it imports."""
    tree, calls, imported = ast.parse(file.read_text()), [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            calls.append((ast.unparse(node.func), keywords))
        elif isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    return calls, imported


@pytest.mark.parametrize("file", sorted((ROOT / "lib").glob("*.py")), ids=lambda file: file.name)
def test_nothing_reads_or_writes_pickle(file):
    calls, imported = calls_in(file)
    assert not imported & {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for name, keywords in calls:
        assert name not in ("torch.save", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "eval", "exec")
        assert not name.endswith(("read_pickle", "to_pickle"))
        assert keywords.get("allow_pickle", "False") == "False"
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False"
        if name == "torch.load":
            assert keywords.get("weights_only") == "True"


def test_runs_hold_no_pickle(configure, store):
    """Each file of a run opens with a reader that cannot run code."""
    run = runs.find_or_execute(configure())
    json.loads((run.path / "config.json").read_text())
    np.load(run.path / "history.npz", allow_pickle=False)["train_loss"]
    assert safetensors.torch.load_file(run.path / "weights.safetensors")


def test_a_run_older_than_a_field_has_its_default(configure, store):
    run = runs.find_or_execute(configure())
    file = run.path / "config.json"
    record = json.loads(file.read_text())
    for name in ("eval_every", "true_label_weight", "generation"):
        del record["config"][name]
    file.write_text(json.dumps(record))
    assert runs.open_run(run.path).config == configure().described()


@pytest.mark.slow
def test_sweep_where_a_fork_cannot_train(configure, store, monkeypatch):
    configs = [configure(seed=seed) for seed in range(2)]
    expected = histories([runs.find_or_execute(config, "cpu") for config in configs])
    monkeypatch.setenv("STUDY_STORE", str(store) + "-spawned")
    monkeypatch.setattr(parallel, "_try_backward", lambda: os._exit(1))
    assert not parallel._fork_works()
    assert_same_histories(histories(runs.sweep(configs, "cpu")), expected)
