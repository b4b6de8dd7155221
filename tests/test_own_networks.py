"""Networks of others and folders of images: what is accepted, what is refused in one line, what is measured."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision.models
from PIL import Image
from torch import nn

from lib import data, images, measure, pretrained
from lib.along import along, held_pairs
from lib.parameters import StudyError

CPU = torch.device("cpu")
TINY = images.Preprocessing(size=8, resize=10)


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    return tmp_path


def write_folder(root, names=("n01440764", "n02102040"), count=6, size=(20, 14)):
    """A folder of random JPEGs, `count` a class."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.jpg")
    return f"folder:{root}"


class Harm:
    """Creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_malicious_pickle_is_refused_and_not_executed(tmp_path):
    target = tmp_path / "harm"
    for file, save in (("a.pt", torch.save), ("b.pth", lambda value, path: path.write_bytes(pickle.dumps(value)))):
        save({"weight": Harm(target)}, tmp_path / file)
        with pytest.raises(StudyError, match="without running code in it"):
            pretrained.load("torchvision:squeezenet1_1", file)
    assert not target.exists()
    pickle.loads((tmp_path / "b.pth").read_bytes())
    assert target.exists()  # it would have


def test_weights_of_another_architecture_name_the_first_key(tmp_path):
    model, _ = pretrained.architecture("torchvision:squeezenet1_0")
    safetensors.torch.save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(StudyError, match=r"features.0.weight is \(96, 3, 7, 7\); accepted: \(64, 3, 3, 3\)"):
        pretrained.load("torchvision:squeezenet1_1", "w.safetensors")
    state = {name: value for name, value in model.state_dict().items() if name != "features.3.squeeze.bias"}
    torch.save(state, tmp_path / "lacks.pt")
    with pytest.raises(StudyError, match=r"features.3.squeeze.bias is nothing; accepted: \(16,\)"):
        pretrained.load("torchvision:squeezenet1_0", "lacks.pt")
    torch.save(model.state_dict() | {"extra": torch.ones(2)}, tmp_path / "more.pt")
    with pytest.raises(StudyError, match=r"extra is \(2,\); accepted: nothing"):
        pretrained.load("torchvision:squeezenet1_0", "more.pt")


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, torch.ones(3)], ids=["list", "number", "empty", "tensor"])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(StudyError, match="no plain state dict"):
        pretrained.load("torchvision:squeezenet1_1", "w.pt")


@pytest.mark.parametrize(
    ("name", "said"),
    [("timm:", "^network"), ("keras:vgg", "^network"), ("timm:no_such_network", "^network"),
     ("torchvision:lenet", "^network"), ("timm:mobilenetv2_100,pad_type", "^network"),
     ("torchvision:squeezenet1_1,colour=3", "^network"), ("torchvision:squeezenet1_1,std=0,weights=w.pt", "^std"),
     ("torchvision:squeezenet1_1,size=big,weights=w.pt", "^size"),
     ("torchvision:squeezenet1_1,weights=no.pt", "^weights")],
)  # fmt: skip
def test_bad_names_are_one_line(tmp_path, name, said):
    torch.save(pretrained.architecture("torchvision:squeezenet1_1")[0].state_dict(), tmp_path / "w.pt")
    with pytest.raises(StudyError, match=said) as caught:
        pretrained.load(name)
    assert "\n" not in str(caught.value)


def test_preprocessing_is_the_networks_own(tmp_path):
    model, preprocessing = pretrained.architecture("timm:mobilenetv1_050", pad_type="same")
    assert (preprocessing.size, preprocessing.mean, preprocessing.num_classes) == (224, (0.5, 0.5, 0.5), 1000)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    changed = pretrained.load("timm:mobilenetv1_050,pad_type=same,mean=0.4,size=96,weights=w.pt")[1]
    assert (changed.mean, changed.std, changed.size, changed.resize) == ((0.4,) * 3, (0.5,) * 3, 96, 110)


def test_weights_of_the_run_store_are_the_last_epochs(tmp_path):
    first, last = ({f"{epoch}/{name}": torch.full_like(value, epoch) for name, value in
                    nn.Linear(2, 3).state_dict().items()} for epoch in (2, 10))  # fmt: skip
    safetensors.torch.save_file(first | last, tmp_path / "weights.safetensors")
    state = pretrained.read_state_dict(tmp_path / "weights.safetensors")
    assert set(state) == {"weight", "bias"}
    assert (state["weight"] == 10).all()


def test_folder_of_images(tmp_path):
    name = write_folder(tmp_path / "val", ("zebra", "apple"), count=3)
    Image.new("L", (8, 8), 77).save(tmp_path / "val" / "apple" / "grey.png")
    found = data.load(name, preprocessing=TINY)
    assert found.x_test.shape == (7, 3, 8, 8)
    assert found.x_test.dtype == torch.uint8
    assert found.y_test.tolist() == [0, 1, 0, 1, 0, 1, 0]  # in turn, apple first
    assert (found.x_test[-1] == 77).all()  # greyscale, of the wanted size, taken as it is
    assert len(found.x_train) == 0
    torch.testing.assert_close(found.normalize(torch.full((1, 3, 1, 1), 255.0)).flatten(),
                               (1 - torch.tensor(TINY.mean)) / torch.tensor(TINY.std))  # fmt: skip
    assert data.load(name, 2, TINY).y_test.tolist() == [0, 1]
    assert data.load(name, 2, TINY).fingerprint != found.fingerprint


@pytest.mark.parametrize(
    "names", [("n01440764", "n02102040"), ("tench", "English springer"), ("Tench", "english_springer")]
)
def test_class_names_map_to_imagenet(tmp_path, names):
    folder = write_folder(tmp_path / "val", names, count=1)
    found = data.load(folder, preprocessing=images.Preprocessing(8, 8, num_classes=1000))
    assert sorted(found.y_test.tolist()) == [0, 217]


@pytest.mark.parametrize(
    ("names", "num_classes", "said"),
    [(("tench", "my cat"), 1000, "'my cat'"), (("tench", "crane"), 1000, "'crane'"),
     (("tench", "n01440764"), 1000, "same class"), (("a", "b", "c"), 2, "3 class folders"), (("a",), None, "1 class")],
)  # fmt: skip
def test_class_names_that_do_not_map(tmp_path, names, num_classes, said):
    folder = write_folder(tmp_path / "val", names, count=1)
    with pytest.raises(StudyError, match=said):
        data.load(folder, preprocessing=images.Preprocessing(8, 8, num_classes=num_classes))


def test_empty_class_missing_folder_and_unreadable_class(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "val")
    (tmp_path / "val" / "n03000684").mkdir()
    (tmp_path / "val" / "n03000684" / "notes.txt").touch()
    with pytest.raises(StudyError, match=r"class n03000684 has no image"):
        data.load(folder, preprocessing=TINY)
    with pytest.raises(StudyError, match="not a folder"):
        data.load("folder:nowhere")
    real = os.listdir

    def closed(path):
        if Path(path).name == "n02102040":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", closed)
    with pytest.raises(StudyError, match="class n02102040 cannot be read"):
        data.load(folder, preprocessing=TINY)


def test_corrupt_image_is_named_skipped_and_counted_up_to_a_percent(tmp_path):
    folder = write_folder(tmp_path / "val", count=60, size=(8, 8))
    bad = tmp_path / "val" / "n01440764" / "017.jpg"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"skipped 1 of 120 images.*n01440764/017.jpg"):
        assert len(data.load(folder, preprocessing=TINY).x_test) == 119
    (tmp_path / "val" / "n02102040" / "003.jpg").write_bytes(b"no image")
    with pytest.raises(StudyError, match=r"2 of 120 images cannot be decoded .*accepted: at most 1%"):
        data.load(folder, preprocessing=TINY)


@pytest.mark.parametrize(
    ("network", "said"),
    [(lambda x: x, r"\(2, 1, 8, 8\)"), (lambda x: x.flatten(1)[0], r"\(64,\)"), (lambda x: {"logits": x}, "dict"),
     (lambda x: x.flatten(1)[:, :5], r"\(2, 5\) .*classes >= 10"),
     (nn.Conv2d(3, 4, 3), "accepted: a network for digits"),
     (lambda x: x.flatten(1) / 0, "NaN or infinite"), (lambda x: torch.log(x.flatten(1)[:, :10]), "NaN or infinite")],
)  # fmt: skip
def test_outputs_that_cannot_be_measured(network, said):
    with pytest.raises(StudyError, match=said) as caught:
        measure.measure(network, data.load("digits"), device=CPU)
    assert "\n" not in str(caught.value)


def test_three_lines_and_a_network_that_stays_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5)).train()
    found = measure.measure(network, data.load("digits"))
    table = measure.table(found).set_index(["measure", "kind"])
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    row = table.loc[("HFF, all paths", "within")]
    assert row["low"] < row["estimate"] < row["high"]
    within = found.paths[found.paths["kind"] == "within"]
    assert (row["num_paths"], row["estimate"]) == (200, pytest.approx(within["hff"].mean()))
    assert table.loc[("total variation, logits", "within")]["num_paths"] == within["correct"].sum()
    assert len(table) == 2 * 9 + 1


def test_parts_of_bounded_size_give_the_same_outputs(monkeypatch):
    dataset, model = data.load("digits", 100), nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    pairs = np.random.default_rng(0).permutation(100).reshape(50, 2)

    def everything():
        with torch.inference_mode():
            return {tuple(pair): (length, row)
                    for ends, lengths, logits in along(model, dataset, pairs, 0.5, "linear", CPU)
                    for pair, length, row in zip(ends, lengths, logits, strict=True)}  # fmt: skip

    whole = everything()
    monkeypatch.setattr("lib.along.HELD_NUMBERS", 1)
    assert max(len(held) for *_, held in held_pairs(dataset, pairs, CPU)) == 20
    parts = everything()
    assert parts.keys() == whole.keys()
    assert len(whole) == 50
    for pair in whole:
        assert parts[pair][0] == pytest.approx(whole[pair][0], rel=1e-6)
        np.testing.assert_allclose(parts[pair][1], whole[pair][1], atol=1e-5)


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """squeezenet1_1's weights where torchvision looks for them: a file in place of the server."""
    import torchvision.models._api as api

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    file = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    offer = file.rename(tmp_path / f"squeezenet1_1-{digest}.pth")
    fetch = api.load_state_dict_from_url
    monkeypatch.setattr(api, "load_state_dict_from_url", lambda url, **how: fetch(offer.as_uri(), **how))
    return offer


def test_weights_are_downloaded(offered):
    model, _ = pretrained.load("torchvision:squeezenet1_1")
    expected = torch.load(offered, weights_only=True)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_a_download_of_another_checksum_is_refused(offered):
    with offered.open("ab") as file:
        file.write(b"more")
    with pytest.raises(StudyError, match=r"^weights: torchvision:squeezenet1_1 could not be downloaded \(invalid hash"):
        pretrained.load("torchvision:squeezenet1_1")
