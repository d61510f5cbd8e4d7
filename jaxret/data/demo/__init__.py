"""The embedded dataset `demo`: real photographs, seen again from other viewpoints."""
