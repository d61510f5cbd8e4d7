"""jaxret inside the tools of others; each module imports its tool late."""
