"""Where data comes from: digits, npz files (never unpickled) and downloads with checksums."""

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch
import torchvision.datasets

from lib import data
from lib.data import sources
from lib.parameters import StudyError


def refused(name, message):
    """Load a dataset that is refused, in one line."""
    with pytest.raises(StudyError, match=message) as caught:
        data.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    dataset = data.load("digits")
    pixels = torch.cat([dataset.x_train, dataset.x_test]).flatten(1).numpy() / 15
    ours = [*dataset.y_train.tolist(), *dataset.y_test.tolist()]
    rows = sorted((*row, label) for row, label in zip(pixels.tolist(), ours, strict=True))
    theirs = zip(images.tolist(), labels.tolist(), strict=True)
    assert rows == sorted((*row, label) for row, label in theirs)


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_npz(data_folder, arrays, channels, dtype):
    given = arrays(channels, dtype)
    np.savez(data_folder / "small.npz", **given)
    dataset = data.load("npz:small.npz")
    for split in ("train", "test"):
        images, labels = (getattr(dataset, f"{part}_{split}") for part in "xy")
        pixels = given[f"x_{split}"].reshape(-1, 6, 5, channels or 1).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(images, pixels)
        np.testing.assert_array_equal(labels, given[f"y_{split}"])
        assert images.dtype == (torch.uint8 if dtype is np.uint8 else torch.float32)
    assert (dataset.name, dataset.num_classes) == ("npz:small.npz", 4)


def test_npz_by_absolute_path_and_compressed(tmp_path, arrays):
    np.savez_compressed(tmp_path / "elsewhere.npz", **arrays())
    dataset = data.load(f"npz:{tmp_path / 'elsewhere.npz'}")
    assert (len(dataset.x_train), dataset.name) == (40, "npz:elsewhere.npz")


@pytest.mark.parametrize("merged", ["", "+merged:1-2:0"])
def test_a_changed_npz_is_read_anew_and_one_that_stayed_is_not(data_folder, arrays, merged):
    file = data_folder / "a.npz"
    np.savez(file, **arrays(seed=0))
    first = data.load(f"npz:a.npz{merged}")
    assert data.load(f"npz:a.npz{merged}") is first
    np.savez_compressed(file, **arrays(seed=1))
    assert data.load(f"npz:a.npz{merged}").fingerprint != first.fingerprint


def write_text(file, _):
    file.write_text("x_train, y_train")


def write_single_array(file, _):
    with open(file, "wb") as out:
        np.save(out, np.zeros(3))


def write_truncated(file, arrays):
    np.savez(file, **arrays)
    file.write_bytes(file.read_bytes()[:-200])


def write_flipped_bytes(file, arrays):
    np.savez_compressed(file, **arrays)
    content = bytearray(file.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 40] = bytes(255 - byte for byte in content[middle : middle + 40])
    file.write_bytes(content)


def write_pickle(file, arrays):
    file.write_bytes(pickle.dumps(arrays))


def write_nothing(file, _):
    file.touch()


def write_folder(file, _):
    file.mkdir()


def write_no_file(*_):
    pass


WRITERS = [write_text, write_single_array, write_truncated, write_flipped_bytes, write_pickle]


@pytest.mark.parametrize("write", [*WRITERS, write_nothing, write_folder, write_no_file])
def test_file_that_is_no_npz_is_refused(data_folder, arrays, write):
    write(data_folder / "bad.npz", arrays())
    refused("npz:bad.npz", r"^dataset: npz:bad.npz .*accepted: an npz with x_train, y_train")


def test_npz_that_lacks_arrays_is_refused(data_folder, arrays):
    given = arrays()
    np.savez(data_folder / "bad.npz", x_test=given["x_test"], y_test=given["y_test"])
    refused("npz:bad.npz", r"^dataset: npz:bad.npz lacks x_train, y_train; accepted: ")


def test_npz_that_unpacks_beyond_a_limit_is_refused_unread(data_folder, arrays, monkeypatch):
    many = arrays() | {"x_train": np.zeros((40, 600, 600), np.uint8)}
    np.savez_compressed(data_folder / "bomb.npz", **many)
    assert (data_folder / "bomb.npz").stat().st_size < 2**17
    monkeypatch.setattr(sources, "MOST_BYTES", 2**20)
    refused("npz:bomb.npz", r"^dataset: npz:bomb.npz unpacks to .* GiB, over .*; accepted: an npz")


def test_pickled_objects_are_never_run(data_folder, arrays):
    class Trap:
        def __reduce__(self):
            return (open, (str(data_folder / "sprung"), "w"))

    trap = np.empty(1, dtype=object)
    trap[0] = Trap()
    np.savez(data_folder / "bad.npz", **(arrays() | {"x_train": trap}))
    refused("npz:bad.npz", "^dataset: npz:bad.npz ")
    assert not (data_folder / "sprung").exists()
    pickle.loads(pickle.dumps(trap))
    assert (data_folder / "sprung").exists()  # it would have


@pytest.mark.parametrize("name", ["mnist", "", "Digits", "npz", "folder:", "digits:"])
def test_unknown_name_is_refused(name):
    message = refused(name, r"^dataset: got .*accepted: digits, cifar10, cifar100, svhn, npz:PATH")
    assert repr(name) in message


def test_a_name_of_a_module_that_is_not_there_is_refused():
    refused("cifar10:x", "^cifar10:x: there is no such file or module; accepted: ")


def md5(content):
    return hashlib.md5(content).hexdigest()


def packed(files):
    """A tar.gz with `files` (name -> content) in CIFAR-10's folder, as bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def server(tmp_path):
    """(folder that a local server offers, its address, list of requests)."""
    requests, folder = [], tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            requests.append(self.path)

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


CIFAR = torchvision.datasets.CIFAR10


@pytest.fixture
def tiny_cifar(server, monkeypatch):
    """30 + 10 images in CIFAR-10's format on a local server, in place of the real archive.

    Returns (pixels of all images (40, 32, 32, 3), their labels, list of requests)."""
    folder, address, requests = server
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8), np.arange(40) % 10

    def batch(part):  # rows of 3072: red, green, blue planes
        rows = pixels[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
        return pickle.dumps({"data": rows, "labels": labels[part].tolist()})

    names = pickle.dumps({"label_names": [str(label) for label in range(10)]})
    train, test = batch(slice(0, 30)), batch(slice(30, 40))
    archive = packed({"data_batch_1": train, "test_batch": test, "batches.meta": names})
    (folder / "cifar-10-python.tar.gz").write_bytes(archive)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(names)}
    monkeypatch.setattr(CIFAR, "url", f"{address}/cifar-10-python.tar.gz")
    monkeypatch.setattr(CIFAR, "tgz_md5", md5(archive))
    monkeypatch.setattr(CIFAR, "train_list", [["data_batch_1", md5(train)]])
    monkeypatch.setattr(CIFAR, "test_list", [["test_batch", md5(test)]])
    monkeypatch.setattr(CIFAR, "meta", meta)
    return pixels, labels, requests


def test_cifar10_is_downloaded_once(tiny_cifar, data_folder, monkeypatch):
    pixels, labels, requests = tiny_cifar
    dataset = data.load("cifar10")
    every = torch.cat([dataset.x_train, dataset.x_test]).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(every, pixels)
    np.testing.assert_array_equal(torch.cat([dataset.y_train, dataset.y_test]), labels)
    assert (len(dataset.x_train), dataset.num_classes) == (30, 10)
    downloads = len(requests)
    assert downloads > 0
    moved = data_folder.rename(data_folder.parent / "moved")
    monkeypatch.setenv("STUDY_DATA", str(moved))  # a folder that this process has not read yet
    again = data.load("cifar10")
    assert again is not dataset
    assert again.fingerprint == dataset.fingerprint
    assert len(requests) == downloads


def test_cifar10_with_a_wrong_checksum_is_refused(tiny_cifar, monkeypatch, data_folder):
    monkeypatch.setattr(CIFAR, "tgz_md5", md5(b"another archive"))
    for _ in range(2):  # what lies there from the first time is not taken for the data either
        message = refused("cifar10", r"^dataset: cifar10 could not be downloaded into data/ \(")
        assert "npz:PATH" in message
        assert not (data_folder / "cifar-10-batches-py").exists()


def test_cifar10_without_a_network_is_refused(tiny_cifar, monkeypatch):
    monkeypatch.setattr(CIFAR, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # none answers
    refused("cifar10", r"^dataset: cifar10 could not be downloaded")


@pytest.mark.parametrize(("name", "kind"), [("cifar100", "CIFAR100"), ("svhn", "SVHN")])
def test_other_downloads(monkeypatch, data_folder, name, kind):
    """In torchvision's layouts: SVHN's images come as (N, C, H, W) with `labels`."""
    rng = np.random.default_rng(0)
    pixels = {split: rng.integers(0, 256, (20, 4, 4, 3), dtype=np.uint8) for split in range(2)}

    class Downloaded:
        def __init__(self, root, split, download):
            assert (root, download) == (data_folder, True)
            images = pixels[split in ("test", False)]
            self.data = images.transpose(0, 3, 1, 2) if name == "svhn" else images
            labels = np.arange(20) % 5
            setattr(self, *(("labels", labels) if name == "svhn" else ("targets", list(labels))))

    monkeypatch.setattr(torchvision.datasets, kind, Downloaded)
    dataset = data.load(name)
    np.testing.assert_array_equal(dataset.x_train.permute(0, 2, 3, 1), pixels[0])
    np.testing.assert_array_equal(dataset.x_test.permute(0, 2, 3, 1), pixels[1])
    assert dataset.y_test.tolist() == [0, 1, 2, 3, 4] * 4
