"""Ground truth: the five real files, and files that must be refused with a sentence."""

import io
import json
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxret.data.benchmarks import registry
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.checks import check_boxes_inside
from jaxret.errors import UserError

REVISITED = {"easy": [0, 2], "hard": [3], "junk": [], "bbx": [1, 2.5, 30, 40]}
CLASSIC = {"ok": [0, 2], "junk": [3], "bbx": [1, 2.5, 30, 40]}


def plain(*entries: dict[str, Any], database: int = 4) -> dict[str, Any]:
    """A small sound ground truth with the given queries."""
    return {
        "imlist": [f"photo_{place}" for place in range(database)],
        "qimlist": [f"query_{place}" for place in range(len(entries))],
        "gnd": [dict(entry) for entry in entries],
    }


def write_pickle(folder: Path, raw: Any) -> Path:
    path = folder / "gnd.pkl"
    path.write_bytes(pickle.dumps(raw))
    return path


# Totals counted in the files by other means: (positives by list).
TOTALS = {
    "oxford5k": {"ok": 2840, "junk": 1495},
    "paris6k": {"ok": 8955, "junk": 8245},
    "roxford5k": {"easy": 3029, "hard": 2497, "junk": 1356},
    "rparis6k": {"easy": 6874, "hard": 10350, "junk": 7153},
    "instre": {"ok": 241250, "junk": 0},
}


@pytest.mark.parametrize("name", list(TOTALS))
def test_real_files_have_the_published_counts(shared_data: Path, name: str) -> None:
    row = registry.get(name)
    truth = files.read(shared_data / "gnd" / row.ground_truth.file, benchmark=name)
    assert (len(truth.imlist), len(truth.qimlist), len(truth.gnd)) == (
        row.database,
        row.queries,
        row.queries,
    )
    totals = {key: sum(len(entry[key]) for entry in truth.gnd) for key in TOTALS[name]}
    assert totals == TOTALS[name]
    assert truth.kind == row.kind
    assert truth.protocols == (
        ("classic",) if row.kind == "classic" else ("easy", "medium", "hard")
    )
    assert all(box is not None for box in truth.boxes)


def test_oxford_pickle_equals_the_plain_unpickler(shared_data: Path) -> None:
    path = shared_data / "gnd" / "gnd_roxford5k.pkl"
    raw = pickle.loads(path.read_bytes())
    truth = files.read_pickle(path, "roxford5k")
    assert (truth.imlist, truth.qimlist, truth.gnd) == (raw["imlist"], raw["qimlist"], raw["gnd"])


def test_revisited_easy_is_empty_for_two_queries(shared_data: Path) -> None:
    truth = files.read_pickle(shared_data / "gnd" / "gnd_roxford5k.pkl")
    assert sum(not entry["easy"] for entry in truth.gnd) == 2


def test_instre_indices_count_from_zero_and_name_whole_classes(shared_data: Path) -> None:
    truth = files.read_mat(shared_data / "gnd" / "gnd_instre.mat", "instre")
    name, entry = truth.qimlist[0], truth.gnd[0]
    folder = name.rsplit("/", 1)[0]
    own = [place for place, image in enumerate(truth.imlist) if image.startswith(f"{folder}/")]
    assert set(own) <= set(entry["ok"])
    assert min(min(entry["ok"]) for entry in truth.gnd) == 0
    assert max(max(entry["ok"]) for entry in truth.gnd) == 27292


def test_instre_read_without_the_shift_is_refused(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap of several public evaluators: MATLAB's indices taken as they are."""
    shifted = lambda numbers, what: [int(n) % 27293 for n in numbers.ravel()]  # noqa: E731
    monkeypatch.setattr(files, "_from_one", shifted)
    with pytest.raises(UserError, match="set that cannot show this object"):
        files.read_mat(shared_data / "gnd" / "gnd_instre.mat", "instre")


def test_another_benchmarks_file_is_refused(shared_data: Path) -> None:
    with pytest.raises(UserError, match=r"4993 database.*oxford5k has 5063"):
        files.read_pickle(shared_data / "gnd" / "gnd_roxford5k.pkl", "oxford5k")


def oxford_style_mat(path: Path, *, ok: Any = (1, 3), qidx: Any = (2,)) -> Path:
    """The layout of the Oxford and Paris .mat files: cell imlist, qidx, a struct array."""
    gnd = np.zeros((1, 1), dtype=[("ok", "O"), ("junk", "O"), ("bbx", "O")])
    gnd[0, 0] = (np.array([ok]), np.zeros((0, 0)), np.array([[1.5, 2, 30, 40]]))
    imlist = np.array([["a"], ["b"], ["c"]], dtype=object)
    scipy.io.savemat(path, {"imlist": imlist, "qidx": np.array([qidx], float), "gnd": gnd})
    return path


def test_oxford_mat_counts_from_one(tmp_path: Path) -> None:
    truth = files.read_mat(oxford_style_mat(tmp_path / "gnd.mat"))
    assert (truth.imlist, truth.qimlist) == (["a", "b", "c"], ["b"])
    assert truth.gnd == [{"ok": [0, 2], "junk": [], "bbx": [1.5, 2, 30, 40]}]


@pytest.mark.parametrize(
    ("ok", "sentence"),
    [((0, 2), "count from 1"), ((1.5, 2), "whole numbers"), ((1, 4), "numbers 0 to 2")],
)
def test_mat_with_wrong_indices_is_refused(tmp_path: Path, ok: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        files.read_mat(oxford_style_mat(tmp_path / "gnd.mat", ok=ok))


def test_mat_with_nan_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="whole numbers"):
        files.read_mat(oxford_style_mat(tmp_path / "gnd.mat", ok=(float("nan"), 1)))


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    target = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (target,))

    path = write_pickle(tmp_path, {**plain(REVISITED), "more": Hostile()})
    with pytest.raises(UserError, match=r"asks for pathlib\S*\.\w+, which could run code"):
        files.read_pickle(path)
    assert not target.exists()


def _in_arrays(value: Any, dtype: Any) -> Any:
    """Every list of numbers as an array, numbers and names as NumPy's own."""
    if isinstance(value, dict):
        return {key: _in_arrays(item, dtype) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_in_arrays(item, dtype) for item in value]
    if isinstance(value, list):
        names = bool(value) and isinstance(value[0], str)
        return np.array(value) if names else np.asarray(value, dtype)
    return value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["int64", "int32", ">i4", "uint16", object])
def test_numpy_arrays_in_a_pickle_are_read_as_lists(
    tmp_path: Path, protocol: int, dtype: Any
) -> None:
    wanted = files.read_pickle(write_pickle(tmp_path, plain(REVISITED)))
    given = _in_arrays(plain(REVISITED), np.dtype(dtype))
    for entry in given["gnd"]:
        entry["bbx"] = np.asarray(REVISITED["bbx"], np.float32)
    (tmp_path / "gnd.pkl").write_bytes(pickle.dumps(given, protocol))
    read = files.read_pickle(tmp_path / "gnd.pkl")
    assert (read.imlist, read.qimlist) == (wanted.imlist, wanted.qimlist)
    for one, other in zip(read.gnd, wanted.gnd, strict=True):
        assert {key: one[key] for key in ("easy", "hard", "junk")} == {
            key: other[key] for key in ("easy", "hard", "junk")
        }
        assert list(one["bbx"]) == REVISITED["bbx"]


@pytest.mark.parametrize(
    ("value", "asked_for"),
    [
        (np.load, "numpy"),
        (np.random.default_rng(0), "numpy"),
        (np.ma.masked_array([1]), "numpy"),
        (np.float64, "numpy"),
    ],
)
def test_other_names_of_numpy_in_a_pickle_are_refused(
    tmp_path: Path, value: Any, asked_for: str
) -> None:
    with pytest.raises(UserError, match=f"asks for {asked_for}"):
        files.read_pickle(write_pickle(tmp_path, {**plain(REVISITED), "more": value}))


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2, dtype=[("x", "i4")]),
        np.zeros((10**9, 0)),  # 10^9 empty lists, were they made
        np.arange(3),
    ],
)
def test_an_array_that_is_no_list_of_queries_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UserError, match=r"gnd\.pkl: "):
        files.read_pickle(write_pickle(tmp_path, {**plain(REVISITED), "gnd": value}))


def test_an_array_whose_shape_is_a_lie_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps({**plain(REVISITED), "gnd": np.arange(3, dtype=np.int64)}, 2)
    assert content.count(b"K\x03\x85") == 1  # the shape, (3,)
    (tmp_path / "gnd.pkl").write_bytes(content.replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85"))
    with pytest.raises(UserError, match=r"damaged or of another format .*reshape"):
        files.read_pickle(tmp_path / "gnd.pkl")


def test_a_pickle_that_asks_for_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gnd.pkl"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\xff.")
    assert [op.name for op, _, _ in pickletools.genops(path.read_bytes())][2] == "LONG_BINPUT"
    with pytest.raises(UserError, match="memo slot"):
        files.read_pickle(path)


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02.", b"not a pickle", b"(" * 50, b"]" + b"]a" * 3, pickle.dumps(plain(CLASSIC))[:40]],
)
def test_damaged_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gnd.pkl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"gnd\.pkl"):
        files.read_pickle(path)


def test_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gnd.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"gnd\.json: damaged"):
        files.read_gnd_json(path)
    path.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    with pytest.raises(UserError, match="not a dict"):
        files.read_pickle(path)


@pytest.mark.parametrize("reader", ["read_pickle", "read_mat", "read_gnd_json"])
def test_empty_and_absent_files_are_refused(tmp_path: Path, reader: str) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UserError, match=r"empty: the file is empty"):
        getattr(files, reader)(empty)
    with pytest.raises(UserError, match="No such file"):
        getattr(files, reader)(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be read"):
        getattr(files, reader)(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "gnd.pkl"
    with path.open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(UserError, match="too many for a ground truth"):
        files.read_pickle(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"easy": [1.0]}, r"query 0 \(query_0\): easy holds 1\.0; it must hold integers"),
        ({"easy": [True]}, "easy holds True"),
        ({"easy": ["1"]}, "easy holds '1'"),
        ({"easy": [[1]]}, "easy holds"),
        ({"easy": 1}, "easy is 1; it must be a list"),
        ({"easy": "12"}, "easy is '12'"),
        ({"easy": [4]}, r"easy holds 4 \(counted from 1\?\).*0 to 3"),
        ({"easy": [-1]}, "easy holds -1;"),
        ({"easy": [10**5000]}, "an integer of"),
        ({"easy": [1, 1]}, "photograph 1 is twice in easy"),
        ({"hard": [0]}, "photograph 0 is in easy and in hard"),
        ({"junk": [2]}, "photograph 2 is in easy and in junk"),
        ({"bbx": [1, 2, 3]}, "four finite numbers"),
        ({"bbx": [1, 2, float("nan"), 4]}, "four finite numbers"),
        ({"bbx": [1, 2, float("inf"), 4]}, "four finite numbers"),
        ({"bbx": [1, 2, True, 4]}, "four finite numbers"),
        ({"bbx": [1, 2, "3", 4]}, "four finite numbers"),
        ({"bbx": {"x1": 1}}, "four finite numbers"),
        ({"bbx": [10, 2, 10, 4]}, "the corners and not a width and height"),
        ({"bbx": [200, 100, 50, 60]}, "the corners"),
        ({"bbx": [-1, 0, 5, 5]}, "0 <= x1"),
        ({"ok": [1]}, r"has the keys \['bbx', 'easy', 'hard', 'junk', 'ok'\]; allowed are"),
        ({"hards": [1]}, "hards"),
    ],
)
def test_wrong_queries_are_refused_with_the_value(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    raw = plain({**REVISITED, **change})
    with pytest.raises(UserError, match=sentence):
        files.read_pickle(write_pickle(tmp_path, raw))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"imlist": ["a", "b", "c", "b"]}, "names 'b' twice"),
        ({"imlist": []}, "one or more"),
        ({"imlist": "photos"}, "imlist is 'photos'"),
        ({"imlist": ["a", "b", "c", 4]}, r"imlist\[3\] is 4"),
        ({"imlist": ["a", "b", "c", ""]}, r"imlist\[3\] is ''"),
        ({"imlist": ["a", "b", "c", "../../d"]}, "must stay inside the folder"),
        ({"imlist": ["a", "b", "c", "/d"]}, "must stay inside the folder"),
        ({"qimlist": ["q", "r"]}, "1 entries for 2 queries"),
        ({"gnd": {}}, "it must be a list with an entry a query"),
        ({"gnd": [None]}, "query 0 .* is None; it must be a dict"),
        ({"gnd": [{"easy": [], "junk": []}]}, "allowed are easy and hard, or ok"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        files.read_pickle(write_pickle(tmp_path, {**plain(REVISITED), **change}))


@pytest.mark.parametrize("missing", ["imlist", "qimlist", "gnd"])
def test_a_missing_list_is_named(tmp_path: Path, missing: str) -> None:
    raw = plain(REVISITED)
    del raw[missing]
    with pytest.raises(UserError, match=f"lacks {missing}"):
        files.read_pickle(write_pickle(tmp_path, raw))


def test_queries_of_two_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"query 1 \(query_1\) has the keys .*query 0 is revisited"):
        files.read_pickle(write_pickle(tmp_path, plain(REVISITED, CLASSIC)))


def test_two_queries_may_share_one_photograph(tmp_path: Path) -> None:
    raw = {**plain(CLASSIC, CLASSIC), "qimlist": ["q", "q"]}
    assert files.read_pickle(write_pickle(tmp_path, raw)).qimlist == ["q", "q"]


def test_junk_and_box_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "gnd.json"
    path.write_text(json.dumps(plain({"ok": [1]})), encoding="utf-8-sig")
    truth = files.read_gnd_json(path)
    assert truth.gnd == [{"ok": [1], "junk": []}]
    assert truth.boxes == [None]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "damaged or of another format"),
        ("[1, 2]", "holds a list, not a dict"),
        ("null", "holds a NoneType"),
        ('{"gnd": 1, "gnd": 2}', "a key twice"),
        ("\xff", "damaged"),
    ],
)
def test_wrong_json_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "gnd.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=sentence):
        files.read_gnd_json(path)


def test_json_nan_in_a_box_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gnd.json"
    path.write_text(json.dumps(plain({**CLASSIC, "bbx": [0, 0, float("nan"), 1]})))
    with pytest.raises(UserError, match="four finite numbers"):
        files.read_gnd_json(path)


def test_a_mat_file_of_something_else_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"X": np.eye(2)})
    path = tmp_path / "gnd.mat"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match=r"lacks imlist and qimlist and gnd; it has \['X'\]"):
        files.read_mat(path)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must end in \.pkl, \.mat, \.json"):
        files.read(tmp_path / "gnd.txt")


def test_boxes_must_lie_inside_their_photographs() -> None:
    check_boxes_inside(["a", "b"], [(0, 0, 101, 50), None], [(100, 50), (1, 1)], "file")
    check_boxes_inside(["a"], [(0, 0, 500, 500)], [None], "file")
    with pytest.raises(UserError, match=r"query 0 \(a\): bbx .*102.* 100 x 50 pixels"):
        check_boxes_inside(["a"], [(0, 0, 102, 50)], [(100, 50)], "file")


def test_real_boxes_lie_inside_the_real_photographs(shared_data: Path) -> None:
    def size(path: Path) -> tuple[int, int] | None:
        if not path.is_file():
            return None
        with Image.open(path) as image:
            return image.size

    for name in ("oxford5k", "roxford5k"):
        truth = files.read_pickle(shared_data / "gnd" / f"gnd_{name}.pkl", name)
        sizes = [size(shared_data / "oxford5k_sample" / f"{query}.jpg") for query in truth.qimlist]
        assert sum(size is not None for size in sizes) == 10
        check_boxes_inside(truth.qimlist, truth.boxes, sizes, name)


def test_an_unknown_benchmark_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"Nearest: roxford5k\. Known: oxford5k"):
        registry.get("roxford")
