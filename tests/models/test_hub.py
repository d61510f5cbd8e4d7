"""Models of the hub: a row from config.json, weights from its folder, refused by the field."""

import json
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from small_vits import small
from twins import packages

from jaxret import models
from jaxret.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def write(folder, name, **arguments):
    """A snapshot of a small model of transformers; returns the module and its row."""
    spec = small(name, **arguments)
    module = packages.randomize(packages.of_transformers(spec))
    module.save_pretrained(folder)
    processor = {"image_mean": list(spec.mean), "image_std": list(spec.std)}
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(processor))
    return module, spec


@pytest.mark.parametrize(
    "name",
    [
        "dinov2-base",
        pytest.param("dinov3-smallplus", marks=pytest.mark.slow),
        pytest.param("clip-b16", marks=pytest.mark.slow),
        pytest.param("dinov2-giant-reg", marks=pytest.mark.slow),
        pytest.param("dinov3-small", marks=pytest.mark.slow),
        pytest.param("siglip-base-224", marks=pytest.mark.slow),
        pytest.param("dino-vits16", marks=pytest.mark.slow),
    ],
)
def test_a_folder_gives_what_its_module_gives(name, tmp_path, photographs, relative_difference):
    module, spec = write(tmp_path, name)
    encoder = models.load(f"hf:{tmp_path}", position_resize="hf")
    assert (encoder.spec.mean, encoder.spec.std) == (spec.mean, spec.std)
    patch = dict(spec.arguments)["patch"]
    images = photographs(5 * patch, 3 * patch + 2)
    expected = packages.outputs_of(module, spec, images)
    found = encoder.outputs(images)
    assert set(found) == set(expected)
    for output in expected:
        assert relative_difference(found[output], expected[output]) <= 1e-5, output


def test_many_files_are_one_model(tmp_path):
    module, _ = write(tmp_path / "one", "dinov2-base")
    module.save_pretrained(tmp_path / "many", max_shard_size="40KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 1
    one, many = (models.load(f"hf:{tmp_path / name}") for name in ("one", "many"))
    assert one.digest() == many.digest()


@pytest.mark.slow
def test_a_folder_is_converted_as_any_checkpoint(tmp_path):
    write(tmp_path / "snapshot", "dinov2-base")
    name = f"hf:{tmp_path / 'snapshot'}"
    tool = [sys.executable, "tools/convert.py", f"--model={name}", f"--output={tmp_path / 'w'}"]
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1 dropped" in done.stdout
    stated = json.loads((tmp_path / "w" / "provenance.json").read_text())
    assert stated["digest"] == models.load(name).digest()


def change(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model_type": "swin"}, "model_type 'swin'"),
        ({"window_size": 7}, "field that jaxret does not know: window_size = 7"),
        ({"hidden_act": "relu"}, "hidden_act = 'relu'"),
        ({"num_channels": 4}, "num_channels = 4"),
        ({"image_size": [64, 80]}, "image_size"),
        ({"num_hidden_layers": 3}, "missing"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, fields, sentence):
    write(tmp_path, "dinov2-base")
    change(tmp_path, **fields)
    with pytest.raises(UserError, match=sentence):
        models.load(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("hf:nowhere", "neither a folder nor an id"), ("hf:{}", "holds no config.json")],
)
def test_a_place_without_a_model_is_refused(tmp_path, place, sentence):
    with pytest.raises(UserError, match=sentence):
        models.get(place.format(tmp_path))


def test_conventions_are_checked():
    with pytest.raises(UserError, match="position_resize=own is no convention"):
        models.get("dinov2-base").with_conventions(position_resize="own")
    row = models.get("dinov2-base")
    assert row.with_conventions(position_resize="original") == row
    assert models.get("resnet50").with_conventions(patch_fit="pad") == models.get("resnet50")


class Hub(SimpleHTTPRequestHandler):
    """As much of the hub as its client asks for one model, `someone/model`."""

    commit = "0123456789abcdef0123456789abcdef01234567"

    def do_GET(self):
        if self.path.startswith("/api/models/someone/model/tree/"):
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name}
                for file in Path(self.directory).iterdir()
            ]
            self._send(json.dumps(files).encode(), "application/json")
        elif self.path.startswith("/api/models/someone/model"):
            files = [{"rfilename": file.name} for file in Path(self.directory).iterdir()]
            body = {"id": "someone/model", "sha": self.commit, "siblings": files}
            self._send(json.dumps(body).encode(), "application/json")
        elif self.path.startswith("/someone/model/resolve/"):
            file = Path(self.directory) / self.path.rpartition("/")[2].partition("?")[0]
            self._send(file.read_bytes(), "application/octet-stream")
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815

    def _send(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("ETag", f'"{len(body)}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_an_id_is_fetched_once_and_then_found_offline(tmp_path):
    write(tmp_path / "model", "dinov2-base")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path / "model")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = "from jaxret import models; print(models.load('hf:someone/model').digest())"
    there = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
    }

    def run(**more):
        return subprocess.run(
            [sys.executable, "-c", code], env=there | more, capture_output=True, text=True
        )

    fetched = run()
    server.shutdown()
    server.server_close()
    assert fetched.returncode == 0, fetched.stderr
    found = run(HF_HUB_OFFLINE="1")
    assert found.stdout == fetched.stdout and found.stdout.strip()
    assert models.load(f"hf:{tmp_path / 'model'}").digest() == found.stdout.strip()
    lost = run(HF_HOME=str(tmp_path / "empty"), HF_HUB_OFFLINE="1")
    assert lost.returncode != 0 and "cannot be had from the hub" in lost.stderr


def test_a_row_of_the_hub_takes_random_weights(tmp_path, photographs):
    write(tmp_path, "dinov2-base")
    encoder = models.random(f"hf:{tmp_path}", seed=3)
    assert np.isfinite(encoder(photographs(28, 42))).all()
