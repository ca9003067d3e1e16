"""From a checkpoint to something in use: which is chosen, and the name that it gets in the registry.

Knows runs by their metrics and versions by their aliases. Does not know how an adapter was trained.
Others use: promotion.promote, promotion.roll_to.
"""
