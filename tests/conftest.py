"""Strict settings for every test: several CPU devices, no silent rank promotion."""

import os
from pathlib import Path

# Before JAX is imported: four CPU devices, so that sharding is tested on every run.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

# Real ground truth, descriptors, photographs and weights, where a checkout has them beside it.
# Their licences do not allow them in the repository.
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; the test is skipped where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first: a worker that began those files last would end alone."""
    first = {"training": 0, "test_compile_benchmark.py": 0, "test_settings_of_jax.py": 1}
    items.sort(key=lambda item: min(first.get(part, 2) for part in item.path.parts))
