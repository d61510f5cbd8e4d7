"""Parts of an evaluation and where their results are kept: what `pipeline` is made of."""
