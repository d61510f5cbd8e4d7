"""The notebook runs from top to bottom on CPU, so that it cannot rot."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "tools" / "colab.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the kernel's own libraries
def test_the_notebook_runs_and_shows_tables_and_pictures(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    # jaxret is installed already; everything else runs as a reader would run it
    [install] = [c for c in notebook.cells if "install" in c.metadata.get("tags", [])]
    install.source = f"REPOSITORY = {str(NOTEBOOK.parents[1])!r}"
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    data = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    shown = [one.get("text/html", "") for one in data]
    assert any("G+DBA+AQE+DFS" in html for html in shown)  # the results' tables
    assert any("data:image/jpeg;base64," in html for html in shown)  # the page's pictures
    assert any("### Search" in one.get("text/markdown", "") for one in data)  # of this device
