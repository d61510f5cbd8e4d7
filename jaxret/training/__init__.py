"""Learning an encoder from photographs; no other part of jaxret knows it."""
