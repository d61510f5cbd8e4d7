"""Many evaluations, suites, searches and what the command line does with them: above `pipeline`."""
