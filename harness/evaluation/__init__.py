"""Texts → measures, rankings and win rates: where samples, judges and endpoints meet.

Knows samples, rubrics and what calls may cost. Does not know how a text was written, or how a run goes on.
"""
