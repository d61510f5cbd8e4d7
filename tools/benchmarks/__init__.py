"""One module a benchmark, each with `main(arguments) -> exit status`; helpers begin with `_`."""
