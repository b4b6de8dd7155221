"""Folders of photos: what is read in which order, its labels, and what is refused in one line."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from lib import data
from lib.data import Preprocessing
from lib.data.photos import class_labels
from lib.parameters import ROOT, StudyError

TINY = Preprocessing(size=8, resize=10)
REAL = ROOT.parent / "shared" / "data" / "imagenet" / "val"


@pytest.fixture
def photos(data_folder):
    """A function that writes random JPEGs, `count` a class, and returns the folder."""

    def write(names=("n01440764", "n02102040"), count=6, size=(20, 14)):
        rng = np.random.default_rng(0)
        for name in names:
            folder = data_folder / "val" / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:03}.jpg")
        return data_folder / "val"

    return write


def refused(message, name="folder:val", preprocessing=TINY):
    with pytest.raises(StudyError, match=message) as caught:
        data.load(name, preprocessing=preprocessing)
    assert "; accepted: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_photos_come_from_each_class_in_turn(photos):
    root = photos(("zebra", "apple"), count=3)
    Image.new("L", (8, 8), 77).save(root / "apple" / "grey.PNG")
    (root / ".cache").mkdir()
    (root / "apple" / "notes.txt").touch()
    dataset = data.load("folder:val/", preprocessing=TINY)
    assert (dataset.name, dataset.num_classes) == ("folder:val", 2)
    assert (dataset.x_test.shape, dataset.x_test.dtype) == ((7, 3, 8, 8), torch.uint8)
    assert dataset.y_test.tolist() == [0, 1, 0, 1, 0, 1, 0]  # apple first
    assert (dataset.x_test[-1] == 77).all()  # greyscale, of the wanted size, taken as it is
    assert (len(dataset.x_train), dataset.image_shape) == (0, (3, 8, 8))
    some = data.load(f"folder:{root}", 3, TINY)
    assert torch.equal(some.x_test, dataset.x_test[:3])
    assert some.y_test.tolist() == [0, 1, 0]
    assert some.fingerprint != dataset.fingerprint
    with pytest.raises(StudyError, match=r"^num_test: got 8; accepted: at most 7 "):
        data.load("folder:val", 8, TINY)


def test_photos_are_normalised_as_the_network_expects(photos):
    photos()
    dataset = data.load("folder:val", preprocessing=TINY.changed(mean=0.25, std=0.5))
    white = dataset.normalize(torch.full((1, 3, 1, 1), 255.0))
    torch.testing.assert_close(white.flatten(), torch.full((3,), 1.5))
    white = data.load("folder:val").normalize(torch.full((1, 3, 1, 1), 255.0)).flatten()
    torch.testing.assert_close(white[0].item(), (1 - 0.485) / 0.229, rtol=1e-6, atol=0)


def test_shorter_side_is_resized_and_the_centre_kept(tmp_path):
    """A photo of 4 x 6 squares of one colour each, made smaller without mixing colours."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(colours.repeat(5, 0).repeat(5, 1)).save(tmp_path / "squares.png")
    nearest = Preprocessing(size=2, resize=4, interpolation="nearest")
    pixels = nearest.pixels(tmp_path / "squares.png")
    np.testing.assert_array_equal(pixels.permute(1, 2, 0), colours[1:3, 2:4])


def test_pixels_of_a_real_photo_are_those_of_the_file():
    if not REAL.is_dir():
        pytest.skip("no real photos here: the folder shared/ beside the project is absent")
    file = min((REAL / "n02102040").iterdir())
    with Image.open(file) as photo:
        expected = np.asarray(photo.convert("RGB"))
    np.testing.assert_array_equal(Preprocessing().pixels(file).permute(1, 2, 0), expected)


def test_changed_size_changes_resize_in_proportion():
    changed = Preprocessing().changed(size=112, mean=0)
    assert (changed.size, changed.resize, changed.mean) == (112, 128, (0.0,) * 3)
    assert Preprocessing().changed(size=112, resize=112).resize == 112


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", 0), ("size", "big"), ("resize", 2.5), ("mean", "0.5"), ("std", 0)]
    + [("std", [0.5, 0.5]), ("interpolation", "box"), ("interpolation", 3)],
)
def test_bad_preprocessing_is_refused(name, value):
    with pytest.raises(StudyError, match=f"^{name}: got .*; accepted: "):
        TINY.changed(**{name: value})


@pytest.mark.parametrize(
    "names",
    [("n01440764", "n02102040"), ("tench", "English springer"), ("TENCH", "english_springer")],
)
def test_class_names_map_to_imagenet(photos, names):
    photos(names, count=1)
    dataset = data.load("folder:val", preprocessing=Preprocessing(8, 8, num_classes=1000))
    assert dataset.num_classes == 1000
    assert sorted(dataset.y_test.tolist()) == [0, 217]


def test_every_wordnet_id_is_its_class():
    from timm.data import ImageNetInfo

    names = ImageNetInfo().label_names()
    assert class_labels(names, 1000, "folder:val") == list(range(1000))


@pytest.mark.parametrize(
    ("names", "num_classes", "message"),
    [(["tench", "my cat"], 1000, "class: got 'my cat'"), (["tench", "crane"], 1000, "got 'crane'")]
    + [(["tench", "n01440764"], 1000, "class: got 'n01440764'.*one folder a")]
    + [
        (["a", "b", "c"], 2, "class folders: got 3; accepted: 2"),
        (["a"], None, "got 1; .*least 2"),
    ],
)
def test_classes_that_do_not_fit_are_refused(photos, names, num_classes, message):
    photos(names, count=1)
    refused(f"^folder:val: .*{message}", preprocessing=Preprocessing(8, 8, num_classes=num_classes))


def test_folder_without_photos_is_refused(photos):
    refused("^dataset: folder:val: .*accepted: a folder")
    (photos() / "n03000684").mkdir()
    (photos(["notes"], 0) / "n03000684" / "notes.txt").touch()
    refused("^dataset: folder:val: .*n03000684")


def test_class_that_cannot_be_listed_is_refused(photos, monkeypatch):
    photos()
    scandir = os.scandir

    def closed(path):
        if os.path.basename(path) == "n02102040":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    refused("^dataset: folder:val: .*n02102040")


def test_corrupt_photo_is_named_skipped_and_counted_up_to_a_percent(photos):
    root = photos(count=60, size=(8, 8))
    whole = data.load("folder:val", preprocessing=TINY)
    bad = root / "n01440764" / "017.jpg"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"1 of 120 images .*n01440764/017.jpg; skipped"):
        dataset = data.load("folder:val", preprocessing=TINY)
    kept = [number for number in range(120) if number != 34]
    assert torch.equal(dataset.x_test, whole.x_test[kept])
    assert torch.equal(dataset.y_test, whole.y_test[kept])
    (root / "n02102040" / "003.jpg").write_bytes(b"no image")
    refused(r"^folder:val: 2 of 120 images cannot be decoded.*017.jpg.*accepted: at most 1%$")


def test_a_photo_of_too_many_pixels_is_named_and_skipped(photos):
    """By its header, before it is decoded."""
    root = photos(count=1)
    Image.new("1", (8193, 8192)).save(root / "n01440764" / "large.png")
    with pytest.warns(UserWarning, match=r"1 of 3 images .*n01440764/large.png; skipped"):
        assert len(data.load("folder:val", preprocessing=TINY).x_test) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_photos_is_named_and_skipped(photos):
    """Reading it would never end."""
    os.mkfifo(photos(count=1) / "n01440764" / "pipe.png")
    with pytest.warns(UserWarning, match=r"1 of 3 images .*n01440764/pipe.png; skipped"):
        assert len(data.load("folder:val", preprocessing=TINY).x_test) == 2


def test_class_whose_only_photo_is_corrupt_is_refused(photos):
    root = photos(count=110, size=(8, 8))
    (root / "single").mkdir()
    (root / "single" / "a.jpg").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="single/a.jpg"):
        refused("^folder:val: images of class single: got 0; accepted: one or more")
