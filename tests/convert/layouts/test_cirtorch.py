"""cirtorch's networks are read whole: trunk by position, power of GeM, learnt whitening."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import twins
from torch import nn
from torch.nn import functional
from twins.published import cirtorch_names

from jaxret import UserError, models
from jaxret.convert import from_checkpoint, from_state_dict, load_checkpoint, port, to_state_dict
from jaxret.convert.files import port_file
from jaxret.convert.generic import resnet_spec
from jaxret.convert.reading import read_checkpoint
from jaxret.models.rows import cirtorch


@pytest.fixture(scope="module")
def whole():
    """A ResNet-18 with cirtorch's head as a file of theirs holds it, and the network itself."""
    spec = resnet_spec("resnet18", head="cirtorch", descriptor=24)
    twin = twins.randomize(twins.build(spec), seed=5)
    meta = {"architecture": "resnet18", "pooling": "gem", "whitening": True, "outputdim": 24}
    meta |= {"mean": [0.48, 0.45, 0.4], "std": [0.22, 0.22, 0.23], "local_whitening": False}
    return spec, twin, {"meta": meta, "state_dict": cirtorch_names(twin.state_dict())}


def theirs(twin, x):
    """The descriptor by torch alone, from the modules as nn.Sequential: what ImageRetrievalNet is.

    x -> features -> clamp(1e-6)^p -> average -> ^(1/p) -> L2N -> whiten -> L2N, where L2N divides
    by the norm plus 1e-6.
    """
    relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    layers = (twin.layer1, twin.layer2, twin.layer3, twin.layer4)
    maps = nn.Sequential(twin.conv1, twin.bn1, relu, pool, *layers)(x)
    p = twin.pool.p.item()
    pooled = functional.avg_pool2d(maps.clamp(min=1e-6).pow(p), maps.shape[2:]).pow(1 / p)
    pooled = pooled.flatten(1)
    pooled = pooled / (pooled.norm(dim=1, keepdim=True) + 1e-6)
    out = pooled @ twin.whiten.weight.T + twin.whiten.bias
    return (out / (out.norm(dim=1, keepdim=True) + 1e-6)).detach().numpy()


def test_a_file_gives_their_descriptors(whole, tmp_path):
    _, twin, contents = whole
    torch.save(contents, tmp_path / "f.pth", _use_new_zipfile_serialization=False)
    encoder, report = load_checkpoint(tmp_path / "f.pth", "resnet18")
    assert (report.layout, encoder.spec.tap, encoder.spec.channels) == ("cirtorch", "whiten", 24)
    images = np.random.default_rng(0).integers(0, 256, (2, 65, 90, 3), np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(contents["meta"][name]).double() for name in ("mean", "std"))
    x = (x - mean[:, None, None]) / std[:, None, None]
    expected = theirs(twin.double(), x)
    twin.float()
    found = np.asarray(encoder(images))[:, 0, 0]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert "mean: from its 'meta'" in report.summary()


def test_the_power_and_the_whitening_are_the_files(whole):
    spec, twin, contents = whole
    params = from_checkpoint(contents, "resnet18")[0].variables["params"]
    np.testing.assert_array_equal(params["pool"]["p"], twin.pool.p.detach())
    np.testing.assert_array_equal(params["whiten"]["kernel"], twin.whiten.weight.detach().T)
    np.testing.assert_array_equal(params["whiten"]["bias"], twin.whiten.bias.detach())
    exported = to_state_dict(from_state_dict(spec, contents))
    assert set(exported) == set(contents["state_dict"])


def test_a_network_without_whitening_ends_in_its_gem(whole):
    _, _, contents = whole
    state = {n: v for n, v in contents["state_dict"].items() if not n.startswith("whiten.")}
    encoder, report = from_checkpoint({"state_dict": state}, "resnet18")
    assert (encoder.spec.tap, encoder.spec.channels, encoder.spec.head) == ("pool", 512, "gem")
    assert "params/pool/p" in report.used.values()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"lwhiten.weight": torch.zeros(512, 512)}, r"unexpected \(1\): lwhiten\.weight"),
        ({"pool.p": torch.full((512,), 3.0)}, r"pool\.p is \(512,\), not \(1,\)"),
        ({"features.7.0.conv9.weight": torch.zeros(1)}, r"unexpected .* features\.7\.0\.conv9"),
        ({"whiten.scale.weight": torch.zeros(2, 2)}, r"unexpected .* whiten\.scale"),
    ],
)
def test_their_other_networks_are_refused(whole, extra, sentence):
    _, _, contents = whole
    with pytest.raises(UserError, match=sentence):
        from_checkpoint({"state_dict": contents["state_dict"] | extra}, "resnet18")


def test_the_architecture_of_meta_is_held_against_the_flag(whole, tmp_path):
    torch.save(whole[2], tmp_path / "f.pth")
    with pytest.raises(UserError, match=r"its 'meta' says .* resnet18, not resnet50: .*--arch="):
        load_checkpoint(tmp_path / "f.pth", "resnet50")


@pytest.mark.parametrize("row", cirtorch.ROWS, ids=lambda row: row.name)
def test_every_row_reads_its_file(row, small, tmp_path):
    spec, _, published = small(row.name)
    torch.save(published, tmp_path / "f.pth", _use_new_zipfile_serialization=False)
    encoder, report = port_file(spec, read_checkpoint(tmp_path / "f.pth"))
    assert encoder.digest() == port(spec, published)[0].digest()
    assert not set(report.dropped.values()) - {"counter of batches"}
    url = row.sources[0].url
    assert (
        url.startswith("http://cmp.felk.cvut.cz/")
        and f"resnet{dict(row.arguments)['depth']}" in url
    )
    assert replace(models.get(row.name), name="") == replace(row, name="")


def test_a_map_network_is_no_retrieval_network(small):
    with pytest.raises(UserError, match=r"has no features\.0\.weight with pool\.p"):
        from_state_dict(small("gem-gl18-50")[0], small("resnet50")[2])
