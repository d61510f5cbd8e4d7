"""Shared by the tests of the suites: members of the study's ensembles, cells to compare."""

from jaxret.report.tables.layouts import tables

MEMBERS = ("resnet50", "simclr1x", "simclr2x", "simclr4x", "mocov1", "mocov2", "amdim", "gem-ap")
CHANNELS = 48


def cells(results):
    """Ours and why not, by table and address."""
    found = {}
    for table in tables(results):
        for cell in table.cells():
            found[table.number, cell.address] = (cell.ours, cell.gap)
    return found
