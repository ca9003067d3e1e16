"""What may be said of several numbers at once, and of the best of many: plain arrays in, plain arrays out.

Knows nothing of files, models, judges or runs.
"""
