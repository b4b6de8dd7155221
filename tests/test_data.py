import functools
import hashlib
import http.server
import io
import pickle
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest
import torch

from lib import data
from lib.parameters import ROOT, StudyError

SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    """The test's own STUDY_DATA, and no dataset remembered from elsewhere."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    data._load.cache_clear()
    yield tmp_path / "data"
    data._load.cache_clear()


def arrays(channels=3, n=40, classes=4, dtype=np.uint8, seed=0):
    """A small random dataset with every class in it."""
    rng = np.random.default_rng(seed)
    shape = (6, 5) if channels is None else (6, 5, channels)
    images = [rng.integers(0, 256, (m, *shape)).astype(dtype) for m in (n, 12)]
    return {"x_train": images[0], "y_train": np.arange(n) % classes, "x_test": images[1], "y_test": np.arange(12) % 3}


def assert_normalised(dataset):
    """Mean 0 and standard deviation 1 per channel over the training set."""
    pixels = dataset.normalize(dataset.x_train).double()
    np.testing.assert_allclose(pixels.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(pixels.std((0, 2, 3), unbiased=False), 1, atol=1e-5)


def test_digits():
    dataset = data.load("digits")
    assert dataset.image_shape == (1, 8, 8)
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((1297, 1, 8, 8), (500, 1, 8, 8))
    assert (dataset.y_train.shape, dataset.y_test.shape, dataset.num_classes) == ((1297,), (500,), 10)
    assert dataset.y_train.dtype == torch.int64
    assert_normalised(dataset)


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    dataset = data.load("digits")
    pixels = torch.cat([dataset.x_train, dataset.x_test]).double().flatten(1).numpy()
    pixels *= 16 / pixels.max()  # whatever their unit
    found = sorted((*map(round, row), label) for row, label in zip(pixels.tolist(), [*dataset.y_train.tolist(),
                                                                  *dataset.y_test.tolist()], strict=True))  # fmt: skip
    assert found == sorted((*map(round, row), int(label)) for row, label in zip(images.tolist(), labels, strict=True))


def test_digits_test_set_holds_every_class():
    counts = np.bincount(data.load("digits").y_test, minlength=10)
    assert counts.min() > 30


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_npz(data_folder, channels, dtype):
    given = arrays(channels, dtype=dtype)
    np.savez(data_folder / "small.npz", **given)
    dataset = data.load("npz:small.npz")
    expected = given["x_train"].reshape(40, 6, 5, -1).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(dataset.x_train, expected)
    np.testing.assert_array_equal(dataset.y_test, given["y_test"])
    assert dataset.x_train.dtype == (torch.uint8 if dtype is np.uint8 else torch.float32)
    assert dataset.num_classes == 4
    np.testing.assert_allclose(dataset.mean, expected.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, expected.std((0, 2, 3)), rtol=1e-6)
    assert_normalised(dataset)


def test_npz_by_absolute_path_and_compressed(tmp_path):
    np.savez_compressed(tmp_path / "elsewhere.npz", **arrays())
    dataset = data.load(f"npz:{tmp_path / 'elsewhere.npz'}")
    assert len(dataset.x_train) == 40
    assert dataset.name == "npz:elsewhere.npz"


def test_normalisation_of_more_than_a_chunk_of_images():
    rng = np.random.default_rng(0)
    images = rng.normal(3, 2, (2345, 2, 2, 1))
    dataset = data.from_arrays(images, np.arange(2345) % 2, images[:4], np.arange(4) % 2, "many")
    pixels = images.astype(np.float32).astype(np.float64)
    assert dataset.mean.item() == pytest.approx(pixels.mean(), rel=1e-6)
    assert dataset.std.item() == pytest.approx(pixels.std(), rel=1e-6)


def test_num_test_takes_the_first_images():
    every, some = data.load("digits"), data.load("digits", 20)
    assert torch.equal(some.x_test, every.x_test[:20])
    assert torch.equal(some.y_test, every.y_test[:20])
    assert torch.equal(some.x_train, every.x_train)
    assert some.fingerprint != every.fingerprint
    with pytest.raises(StudyError, match=r"^num_test: got 501; accepted: at most 500"):
        data.load("digits", 501)


@pytest.mark.parametrize("part", ["x_train", "y_train", "x_test", "y_test"])
def test_fingerprint_sees_every_array(part):
    given = arrays(dtype=np.float32)
    before = data.from_arrays(**given, name="a").fingerprint
    assert data.from_arrays(**given, name="b").fingerprint == before
    given[part] = given[part].copy()
    given[part].flat[0], given[part].flat[1] = given[part].flat[1], given[part].flat[0]
    assert data.from_arrays(**given, name="a").fingerprint != before


def cube_of_objects(given):
    given["x_train"] = np.array([[["pixel"]]], dtype=object)


def replaced(part, change):
    def apply(given):
        given[part] = change(given[part].copy())

    return apply


def put(value):
    def change(array):
        array.flat[0] = value
        return array

    return change


BAD_ARRAYS = {
    "missing key": (lambda given: given.pop("y_test"), "lacks y_test"),
    "two missing keys": (lambda given: (given.pop("x_train"), given.pop("y_train")), "lacks x_train, y_train"),
    "object array": (cube_of_objects, "without pickle"),
    "negative label": (replaced("y_train", put(-1)), "y_train has labels -1"),
    "test label too large": (replaced("y_test", put(4)), r"y_test has labels 0\.\.4; accepted: 0\.\.3"),
    "skipped class": (replaced("y_train", lambda y: np.where(y == 2, 1, y)), "skips a class"),
    "labels of fractions": (replaced("y_train", lambda y: y + 0.5), "y_train is float64; accepted: integers"),
    "NaN pixel": (replaced("x_test", lambda x: put(np.nan)(x.astype(float))), "x_test has NaN"),
    "infinite pixel": (replaced("x_train", lambda x: put(np.inf)(x.astype(float))), "x_train has NaN or infinite"),
    "text pixels": (replaced("x_train", lambda x: x.astype(str)), "x_train is <U3; accepted: numbers"),
    "flat images": (replaced("x_train", lambda x: x.reshape(40, -1)), r"x_train \(40, 90\).*accepted: \(N, H, W"),
    "too few labels": (replaced("y_test", lambda y: y[:-1]), r"y_test \(11,\)"),
    "no test images": (replaced("x_test", lambda x: x[:0]), r"x_test \(0"),
    "other test size": (replaced("x_test", lambda x: x[:, :5]), "test"),
    "black images": (replaced("x_train", np.zeros_like), "constant"),
    "grey float images": (replaced("x_train", lambda x: np.full(x.shape, 0.1)), "constant"),
    "one grey channel": (replaced("x_train", lambda x: np.where(np.arange(3) == 1, 0.3, x)), "constant"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_npz_is_refused_in_one_line(data_folder, case):
    spoil, message = BAD_ARRAYS[case]
    given = arrays()
    spoil(given)
    np.savez(data_folder / "bad.npz", **given)
    with pytest.raises(StudyError, match=message) as caught:
        data.load("npz:bad.npz")
    assert "bad.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def text_file(file):
    file.write_text("x_train, y_train")


def single_array(file):
    with open(file, "wb") as out:
        np.save(out, np.zeros(3))


def truncated(file):
    np.savez(file, **arrays())
    file.write_bytes(file.read_bytes()[:-200])


def flipped_bytes(file):
    np.savez_compressed(file, **arrays())
    content = bytearray(file.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 40] = bytes(255 - byte for byte in content[middle : middle + 40])
    file.write_bytes(content)


def pickled(file):
    file.write_bytes(pickle.dumps(arrays()))


@pytest.mark.parametrize("write", [text_file, single_array, truncated, flipped_bytes, pickled, lambda f: f.touch()])
def test_file_that_is_no_npz_is_refused_in_one_line(data_folder, write):
    write(data_folder / "bad.npz")
    with pytest.raises(StudyError, match=r"^dataset: npz:bad.npz ") as caught:
        data.load("npz:bad.npz")
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_never_run(data_folder):
    class Trap:
        def __reduce__(self):
            return (open, (str(data_folder / "sprung"), "w"))

    trap = np.empty(1, dtype=object)
    trap[0] = Trap()
    np.savez(data_folder / "bad.npz", **(arrays() | {"x_train": trap}))
    with pytest.raises(StudyError):
        data.load("npz:bad.npz")
    assert not (data_folder / "sprung").exists()


@pytest.mark.parametrize("name", ["npz:absent.npz", "npz:.", "npz:"])
def test_absent_file(name):
    with pytest.raises(StudyError, match=r"^dataset: "):
        data.load(name)


@pytest.mark.parametrize("name", ["mnist", "", "Digits", "npz", "cifar10:x"])
def test_unknown_name(name):
    with pytest.raises(StudyError, match=r"^dataset: got .*accepted: digits, cifar10, cifar100, svhn, npz:PATH"):
        data.load(name)


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def tiny_cifar(tmp_path, monkeypatch):
    """An archive in CIFAR-10's format with 30 + 10 images on a local server, in place of the real one.

    Returns (class, pixels of all images (40, 32, 32, 3), their labels, list of requests).
    """
    import torchvision.datasets

    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10

    def batch(part):  # rows of 3072: red, green, blue planes
        rows = pixels[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
        return pickle.dumps({"data": rows, "labels": labels[part].tolist()})

    files = {"data_batch_1": batch(slice(0, 30)), "test_batch": batch(slice(30, 40)),
             "batches.meta": pickle.dumps({"label_names": [str(c) for c in range(10)]})}  # fmt: skip
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "url", f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz")
    monkeypatch.setattr(kind, "tgz_md5", md5((served / "cifar-10-python.tar.gz").read_bytes()))
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", md5(files["data_batch_1"])]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", md5(files["test_batch"])]])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names",
                                       "md5": md5(files["batches.meta"])})  # fmt: skip
    yield kind, pixels, labels, requests
    server.shutdown()
    server.server_close()


def test_cifar10_is_downloaded_once(tiny_cifar, data_folder):
    _, pixels, labels, requests = tiny_cifar
    dataset = data.load("cifar10")
    every = torch.cat([dataset.x_train, dataset.x_test]).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(every, pixels)
    np.testing.assert_array_equal(torch.cat([dataset.y_train, dataset.y_test]), labels)
    assert (len(dataset.x_train), dataset.num_classes) == (30, 10)
    downloads = len(requests)
    assert downloads > 0
    data._load.cache_clear()
    assert data.load("cifar10").fingerprint == dataset.fingerprint
    assert len(requests) == downloads
    assert (data_folder / "cifar-10-batches-py" / "data_batch_1").is_file()


def test_cifar10_with_a_wrong_checksum_is_refused(tiny_cifar, monkeypatch, data_folder):
    kind, _, _, _ = tiny_cifar
    monkeypatch.setattr(kind, "tgz_md5", md5(b"another archive"))
    for _ in range(2):  # and what lies there from the first time is not taken for the data either
        with pytest.raises(StudyError, match=r"^dataset: cifar10 could not be downloaded") as caught:
            data.load("cifar10")
        assert "\n" not in str(caught.value)
        assert "npz:PATH" in str(caught.value)
        assert not (data_folder / "cifar-10-batches-py").exists()


def test_cifar10_without_a_network_is_refused(tiny_cifar, monkeypatch, data_folder):
    kind, _, _, _ = tiny_cifar
    monkeypatch.setattr(kind, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # nobody answers there
    with pytest.raises(StudyError, match=r"^dataset: cifar10 could not be downloaded") as caught:
        data.load("cifar10")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def real_cifar10(tmp_path_factory):
    tool = SHARED / "tools" / "cifar10_npz.py"
    if not tool.is_file():
        pytest.skip("no real CIFAR-10 here: the folder shared/ beside the project is absent")
    pytest.importorskip("PIL", reason="unpacking the real CIFAR-10 needs pillow")
    file = tmp_path_factory.mktemp("cifar10") / "cifar10.npz"
    subprocess.run([sys.executable, tool, file], check=True, timeout=120)
    yield file
    file.unlink()


def test_real_cifar10(real_cifar10):
    """Published statistics, at the tolerances with which this copy agrees (178 images come from a JPEG copy)."""
    dataset = data.load(f"npz:{real_cifar10}")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert np.bincount(dataset.y_train).tolist() == [5000] * 10
    np.testing.assert_allclose(dataset.mean / 255, [0.49139968, 0.48215841, 0.44653091], atol=4.5e-7)
    np.testing.assert_allclose(dataset.std / 255, [0.24703223, 0.24348513, 0.26158784], atol=6.5e-6)
    norms = dataset.normalize(dataset.x_test).flatten(1).norm(dim=1)
    assert round(norms.mean().item()) == 53
    assert round(norms.std().item()) == 14
