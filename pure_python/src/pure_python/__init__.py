"""A small autograd engine in plain Python."""
