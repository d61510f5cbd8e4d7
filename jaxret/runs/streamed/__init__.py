"""Databases that no memory holds: described from tar files, searched behind another."""
