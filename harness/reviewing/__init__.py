"""Texts before a person: a queue of them, what was decided as events that only grow, and the page that asks.

Knows samples and a judge's ranking as files. Does not know models, or what is trained on what was decided.
Others use: session.
"""
