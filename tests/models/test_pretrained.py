"""Networks of others by name: what is built and loaded, what is refused in one line, never run."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch
import torchvision.models
from torch import nn
from torchvision.transforms import v2

from lib import data, models
from lib.parameters import ROOT, StudyError

SHARED = ROOT.parent / "shared" / "data"
IMAGENET = SHARED / "imagenet"
COLOURS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    return tmp_path


def refused(message, *arguments):
    with pytest.raises(StudyError, match=message) as caught:
        models.load_pretrained(*arguments)
    assert "; accepted: " in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_equal(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in state.items())


class Harm:
    """Creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_malicious_pickle_is_refused_and_not_executed(tmp_path):
    target = tmp_path / "harm"
    torch.save({"weight": Harm(target)}, tmp_path / "a.pt")
    for file in ("b.pth", "c.safetensors"):
        (tmp_path / file).write_bytes(pickle.dumps({"weight": Harm(target)}, protocol=2))
    for file in ("a.pt", "b.pth", "c.safetensors"):
        refused(f"^weights: {file} cannot be read without running", "timm:mobilenetv1_025", file)
    assert not target.exists()
    pickle.loads((tmp_path / "b.pth").read_bytes())
    assert target.exists()  # it would have


def test_weights_that_do_not_fit_name_the_first_key(tmp_path):
    state = models.architecture("torchvision:squeezenet1_0")[0].state_dict()
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    message = r"features.0.weight: got \(96, 3, 7, 7\); accepted: \(64, 3, 3, 3\)"
    refused(f"^weights: w.safetensors .*{message}", "torchvision:squeezenet1_1", "w.safetensors")
    lacking = {name: v for name, v in state.items() if name != "features.3.squeeze.bias"}
    torch.save(lacking, tmp_path / "w.pt")
    message = r"features.3.squeeze.bias: got 'nothing'; accepted: \(16,\)"
    refused(message, "torchvision:squeezenet1_0,weights=w.pt")
    torch.save(state | {"extra": torch.ones(2)}, tmp_path / "w.pt")
    refused(r"extra: got \(2,\); accepted: nothing", "torchvision:squeezenet1_0", "w.pt")


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, {}, torch.ones(3)], ids=["list", "number", "empty", "tensor"]
)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    refused("^weights: w.pt holds no plain state dict", "torchvision:squeezenet1_1", "w.pt")


NETWORKS = "timm: keras:vgg timm:no_such_network torchvision:lenet timm:mobilenetv2_100,pad_type"
REFUSED = [(name, "network: ") for name in NETWORKS.split()] + [
    ("torchvision:squeezenet1_1,colour=3", "network: "),
    ("timm:mobilenetv1_050,colour=3", "network: "),
    ("torchvision:squeezenet1_1,std=0,weights=w.pt", "std: got 0; "),
    ("torchvision:squeezenet1_1,size=big,weights=w.pt", "size: got 'big'; "),
    ("torchvision:squeezenet1_1,weights=no.pt", "weights: no.pt cannot be read"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED)
def test_bad_names_are_refused(tmp_path, name, message):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "w.pt")
    refused(f"^{message}", name)


def test_preprocessing_is_the_networks_own():
    _, its = models.architecture("torchvision:squeezenet1_1")
    assert its == data.Preprocessing(interpolation="bilinear", num_classes=1000)
    model, its = models.architecture("timm:mobilenetv2_100", pad_type="same", num_classes=7)
    assert its == data.Preprocessing(resize=256, num_classes=7)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_preprocessing_is_changed_by_the_name(tmp_path):
    model, its = models.architecture("timm:mobilenetv1_050", pad_type="same")
    assert (its.size, its.mean, its.num_classes) == (224, (0.5, 0.5, 0.5), 1000)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    name = "timm:mobilenetv1_050,pad_type=same,mean=0.4,size=96,weights=w.pt"
    loaded, its = models.load_pretrained(name)
    assert (its.mean, its.std, its.size, its.resize) == ((0.4,) * 3, (0.5,) * 3, 96, 110)
    assert not loaded.training
    assert_equal(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize(("width", "millions"), [(25, 0.47), (50, 1.34), (75, 2.59), (100, 4.24)])
def test_mobilenets_of_every_width_have_their_published_size(width, millions):
    """Howard et al., arXiv 1704.04861, table 7: 0.5, 1.3, 2.6 and 4.2 million parameters."""
    with torch.device("meta"):
        model, _ = models.architecture(f"timm:mobilenetv1_{width:03}")
    assert models.num_parameters(model) / 1e6 == pytest.approx(millions, abs=0.01)


def real_weights(name):
    """The network called `name` with its weights, and its preprocessing."""
    if not IMAGENET.is_dir():
        pytest.skip("no real weights here: the folder shared/ beside the project is absent")
    file = f"{name.partition(':')[2].partition(',')[0]}.safetensors"
    return models.load_pretrained(name, str(IMAGENET / "weights" / file))


@pytest.mark.parametrize("name", ["mobilenetv1_050", "mobilenetv1_075", "mobilenetv1_100"])
def test_real_weights_load(name):
    network, _ = real_weights(f"timm:{name},pad_type=same")
    assert network(torch.zeros(1, 3, 64, 64)).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_photos", "top_1", "within"),
    [
        ("timm:mobilenetv1_025,pad_type=same", 500, 0.450, 0.001),
        ("timm:mobilenetv2_100,pad_type=same,mean=0.5,std=0.5", 20, 0.680, 0.3),
        ("torchvision:squeezenet1_0", 30, 0.590, 0.25),
        ("torchvision:squeezenet1_1", 30, 0.586, 0.25),
    ],
)
def test_real_weights_classify_real_photos(name, num_photos, top_1, within):
    """Top-1 from the README beside them, on all photos or on some: within three deviations."""
    network, preprocessing = real_weights(name)
    photos = data.load(f"folder:{IMAGENET / 'val'}", num_photos, preprocessing)
    with torch.inference_mode():
        batches = photos.normalize(photos.x_test).split(50)
        classes = torch.cat([network(batch).argmax(1) for batch in batches])
    correct = (classes == photos.y_test).double().mean().item()
    assert correct == pytest.approx(top_1, abs=within)


@pytest.fixture(scope="module")
def cifar_photos():
    """60 test images of CIFAR-10 as networks of others want them, and their labels."""
    if not (SHARED / "cifar10-networks").is_dir():
        pytest.skip("no networks of CIFAR-10 here: the folder shared/ beside the project is absent")
    with PIL.Image.open(SHARED / "cifar10" / "test.webp") as sheet:
        row = np.asarray(sheet.convert("RGB"))[:32, : 60 * 32]
    images = torch.tensor(row.reshape(32, 60, 32, 3).transpose(1, 3, 0, 2) / 255).float()
    with np.load(SHARED / "cifar10" / "labels.npz", allow_pickle=False) as labels:
        return v2.functional.normalize(images, *COLOURS), torch.tensor(labels["y_test"][:60])


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_residual_networks_of_others_fit_ours(cifar_photos, depth):
    """Strictly, and they classify as with the code they come from, to three standard errors."""
    images, labels = cifar_photos
    network = models.build(f"resnet-{depth}", (3, 32, 32), 10).eval()
    file = SHARED / "cifar10-networks" / f"resnet{depth}.safetensors"
    network.load_state_dict(models.read_state_dict(file), strict=True)
    with torch.inference_mode():
        right = (network(images).argmax(1) == labels).double().mean().item()
    assert right >= 0.92 - 0.105


def test_weights_of_the_run_store_are_the_last_epochs(tmp_path):
    state = nn.Linear(2, 3).state_dict()
    epochs = [{f"{e}/{k}": torch.full_like(v, e) for k, v in state.items()} for e in (2, 10)]
    safetensors.torch.save_file(epochs[0] | epochs[1], tmp_path / "weights.safetensors")
    last = models.read_state_dict(tmp_path / "weights.safetensors")
    assert_equal(last, {name: torch.full_like(value, 10) for name, value in state.items()})


def test_own_network_takes_weights_from_a_file(tmp_path):
    dataset = data.load("digits")
    trained = models.build("mlp-1-16", dataset.image_shape, 10, seed=5)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    network = models.own_network("mlp-1-16", dataset, "w.pt")
    assert not network.training
    assert_equal(network.state_dict(), trained.state_dict())


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """squeezenet1_1's weights where torchvision looks for them: a file in place of the server."""
    import torchvision.models._api as api

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    file = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    offer, fetch = (
        file.rename(tmp_path / f"squeezenet1_1-{digest}.pth"),
        api.load_state_dict_from_url,
    )
    monkeypatch.setattr(
        api, "load_state_dict_from_url", lambda _, **options: fetch(offer.as_uri(), **options)
    )
    return offer


def test_weights_are_downloaded(offered):
    model, _ = models.load_pretrained("torchvision:squeezenet1_1")
    assert_equal(model.state_dict(), torch.load(offered, weights_only=True))


def test_a_download_of_another_checksum_is_refused(offered):
    with offered.open("ab") as file:
        file.write(b"more")
    message = "^weights: torchvision:squeezenet1_1 could not be downloaded .*invalid hash"
    refused(message, "torchvision:squeezenet1_1")


def test_names_of_others_have_a_library():
    assert models.is_external("timm:mobilenetv2_100")
    assert not models.is_external("wrn-10-1")
