"""The one exception that speaks to the user."""


class UserError(ValueError):
    """What the user can put right: one sentence that says what was wrong and what to do.

    `jaxret.main` and the tools print the sentence and exit with status 1, without a traceback.
    """
