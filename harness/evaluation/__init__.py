"""Texts → measures, rankings and win rates: where samples, judges and endpoints meet.

Knows samples, rubrics and what calls may cost. Does not know how a text was written, or how a run goes on.
Others use: samples.measure_and_judge; for a run measures, anchors, contest.candidates_of, panel, records.
"""
