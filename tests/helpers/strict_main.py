"""The command line of jaxret.main, where a deprecation that a line of jaxret raises is an error."""

import runpy
import warnings

for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
    warnings.filterwarnings("error", category=category, module=r"jaxret(\.|$)")
runpy.run_module("jaxret.main", run_name="__main__", alter_sys=True)
