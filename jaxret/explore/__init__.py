"""A page in the browser to look into a workdir: `python -m jaxret.explore --workdir=...`."""
