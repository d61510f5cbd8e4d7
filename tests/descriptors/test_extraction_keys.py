"""The keys of stored descriptors: those of older workdirs stay, others are told from them."""

from jaxret import defaults
from jaxret.descriptors.describer import Extraction
from jaxret.descriptors.extraction import described_by
from jaxret.descriptors.pooling_rows import Pooling


def extraction(pooling, **changes):
    how = {"image_size": 724, "crop": True, "resize": "square", "decoder": "pil"}
    how |= {"dtype": "float32", "on_bad_image": "fail", "batch_size": 8, "workers": None}
    return Extraction(**{**how, **changes}, pooling=pooling)


def test_r_mac_lies_where_it_lay_before_there_were_other_poolings():
    assert described_by(extraction(Pooling()), {"weights": "w"}) == {
        **{"stage": 4, "weights": "w", "image_size": 724, "crop": True, "resize": "square"},
        **{"decoder": "pil", "dtype": "float32"},
        **{"rmac_levels": 3, "rmac_include_global": False},
    }


def test_every_pooling_lies_apart():
    keys = [str(described_by(extraction(Pooling(name)), {})) for name in defaults.POOLINGS]
    assert len(set(keys)) == len(keys)
