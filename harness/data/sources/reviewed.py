"""What people decided on samples becomes training lines that say where they come from; rounds and lines are joined.

Reads decisions, samples, P9's nested list and training lines, told apart by what a record has; a later one on the same
sample takes the place of an earlier one. Knows nothing of pages, judges or runs.
"""
