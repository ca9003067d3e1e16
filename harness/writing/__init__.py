"""Adapters × themes × variants → texts: which there are to write, and how they are laid side by side.

Knows adapters by reference and one resident base. Does not know what the texts are worth.
Others use: grid.lay_out, grid.write_all, grid.write_into, comparison.
"""
