"""A small autograd engine on NumPy arrays."""
