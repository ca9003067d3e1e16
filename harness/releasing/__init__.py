"""From a checkpoint to something in use: which is chosen, what it is asked, and the name that it gets in the registry.

Knows runs by their metrics and versions by their aliases. Does not know how an adapter was trained.
Others use: choice.Choice, promotion.promote, promotion.roll_to, promotion.Terms, listing.print_versions,
listing.print_history.
"""
