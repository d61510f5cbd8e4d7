"""Every published layout gives the arrays of the network that was published, and nothing else."""

import numpy as np
import pytest
import torch
from twins.published import byol_names, tensorflow_names

from jaxret import UserError, models
from jaxret.convert import from_state_dict, port
from jaxret.models.encoder import named_arrays, template


def arrays_of(twin):
    """What the network holds, by our names, written out apart from the port."""
    arrays = {}
    for module_name, module in twin.named_modules():
        path = module_name.replace("_blocks", "blocks").lstrip("_")
        path = "/".join(part.lstrip("_") for part in path.split("."))
        for number in "0123456789":
            path = path.replace(f"/{number}", f"_{number}")
        if isinstance(module, torch.nn.BatchNorm2d):
            arrays[f"params/{path}/scale"] = module.weight
            arrays[f"params/{path}/bias"] = module.bias
            arrays[f"batch_stats/{path}/mean"] = module.running_mean
            arrays[f"batch_stats/{path}/var"] = module.running_var
        elif isinstance(module, torch.nn.Conv2d):
            arrays[f"params/{path}/kernel"] = module.weight.permute(2, 3, 1, 0)
        elif isinstance(module, torch.nn.Linear):
            arrays[f"params/{path}/kernel"] = module.weight.T
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            arrays[f"params/{path}/bias"] = module.bias
        if hasattr(module, "p") and isinstance(module.p, torch.nn.Parameter):
            arrays[f"params/{path}/p"] = module.p
    return {name: array.detach().numpy() for name, array in arrays.items()}


# Vision Transformers: tests/models/networks/test_vit_original.py
CONVOLUTIONAL = [name for name in models.names() if models.get(name).architecture != "vit"]


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_every_row_takes_its_published_names(name, small):
    spec, twin, published = small(name)
    encoder, report = port(spec, published)
    expected = arrays_of(twin)
    for path, array in named_arrays(encoder.variables):
        np.testing.assert_array_equal(array, expected[path], err_msg=path)
    assert sorted(report.used.values()) == [path for path, _ in named_arrays(template(spec))]
    assert not set(report.used) & set(report.dropped)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("mocov1", {"classifier or projection head", "queue of negatives", "momentum encoder"}),
        ("mocov2", {"classifier or projection head", "queue of negatives", "momentum encoder"}),
        ("swav", {"projection head", "prototypes"}),
        ("simsiam", {"classifier or projection head", "predictor"}),
        (
            "amdim",
            {
                "batch normalisation that is never applied",
                "heads of the contrastive loss",
                "masks of the contrastive loss",
                "classifier",
            },
        ),
        ("byol", {"working values of the moving average", "projection head", "classifier"}),
        ("gem-ap", set()),
    ],
)
def test_what_is_no_part_of_the_encoder_is_dropped_by_name(name, reasons, small):
    spec, _, published = small(name)
    _, report = port(spec, published)
    assert set(report.dropped.values()) - {"counter of batches"} == reasons
    assert all(reason in report.summary() for reason in reasons)


def test_simclr_of_tensorflow_and_of_pytorch_are_the_same_arrays(small):
    spec, twin, published = small("simclr1x")
    tensorflow = port(spec, tensorflow_names(twin.state_dict()))
    assert tensorflow[1].layout == "simclr_tensorflow"
    assert tensorflow[0].digest() == from_state_dict(spec, published).digest()
    assert dict(tensorflow[0].spec.arguments)["stem_pool"] == "same"
    assert "max-pool as TensorFlow's SAME" in tensorflow[1].summary()
    assert from_state_dict(spec, published).spec == spec


def test_byol_under_haikus_and_torchvisions_names_is_the_same(small):
    spec, twin, _ = small("byol")
    haiku = port(spec, byol_names(twin.state_dict()))
    assert haiku[1].layout == "byol_haiku"
    assert haiku[0].digest() == from_state_dict(spec, twin.state_dict()).digest()


def test_the_order_of_the_keys_does_not_matter(small):
    spec, twin, _ = small("simclr1x")
    state = twin.state_dict()
    turned = {name: state[name] for name in reversed(list(state))}
    assert from_state_dict(spec, turned).digest() == from_state_dict(spec, state).digest()


def test_numpy_half_precision_and_parameters_are_taken(small):
    spec, twin, _ = small("resnet50")
    state = twin.half().state_dict()
    encoder = from_state_dict(spec, state)
    assert all(array.dtype == np.float32 for _, array in named_arrays(encoder.variables))
    plain = {name: value.float().numpy() for name, value in state.items()}
    parameters = {name: torch.nn.Parameter(v, requires_grad=False) for name, v in state.items()}
    assert from_state_dict(spec, plain).digest() == encoder.digest()
    assert from_state_dict(spec, parameters).digest() == encoder.digest()


def test_bfloat16_is_cast_up(small):
    spec, twin, _ = small("resnet18")
    state = {name: value.bfloat16() for name, value in twin.state_dict().items()}
    kernel = from_state_dict(spec, state).variables["params"]["conv1"]["kernel"]
    expected = state["conv1.weight"].float().permute(2, 3, 1, 0).numpy()
    np.testing.assert_array_equal(kernel, expected)


def test_the_encoder_does_not_change_with_the_pytorch_module(small):
    spec, twin, _ = small("resnet50")
    encoder = from_state_dict(spec, twin.state_dict())
    before = from_state_dict(spec, twin.state_dict()).digest()
    with torch.no_grad():
        twin.train()(torch.randn(2, 3, 33, 33))
        for parameter in twin.parameters():
            parameter.add_(1)
    assert encoder.digest() == before


PCA = {
    "mean": np.arange(8.0),
    "components": np.eye(8)[:5],
    "explained_variance": np.arange(5, 0, -1.0),
    "whiten": False,
}


def test_the_pca_beside_gem_is_kept_with_the_encoder(small):
    spec, _, published = small("gem-ap")
    others = {"Other": {**PCA, "mean": np.zeros(8)}, "Landmarks_clean": PCA}
    for pca in (PCA, {"only": PCA}, others):
        kept = from_state_dict(spec, {**published, "pca": pca}).whitening
        np.testing.assert_array_equal(kept["mean"], PCA["mean"])
        assert sorted(kept) == ["components", "explained_variance", "mean", "whiten"]
        assert not kept["whiten"]
    whitens = from_state_dict(spec, {**published, "pca": {**PCA, "whiten": True}}).whitening
    assert sorted(whitens) == ["components", "explained_variance", "mean"]
    assert from_state_dict(spec, published).whitening is None


def test_a_pca_that_does_not_fit_is_refused(small):
    spec, _, published = small("gem-ap")
    with pytest.raises(UserError, match="do not fit together"):
        from_state_dict(spec, {**published, "pca": {**PCA, "mean": np.zeros(7)}})
    lacking = {key: value for key, value in PCA.items() if key != "components"}
    with pytest.raises(UserError, match="lacks components"):
        from_state_dict(spec, {**published, "pca": {"only": lacking}})


def test_consuming_empties_the_dict_of_what_was_used(small):
    spec, _, published = small("mocov2")
    state = published["state_dict"]
    whole = from_state_dict(spec, published).digest()
    encoder, report = port(spec, published, consume=True)
    assert encoder.digest() == whole
    assert set(state) == set(report.dropped)
