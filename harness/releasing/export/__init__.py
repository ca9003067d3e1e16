"""From an adapter to what other programs read: an adapter or a model in their formats, with a card and a proof.

Knows the formats and what is measured. Does not know how an adapter was trained or promoted.
Others use: run.export, run.Order, target.Target.
"""
