"""The whole round, generate to retrain, step by step; and back: from a line, a run or a version to what made it.

Knows what the commands leave behind, and runs them as a user would. Does not know how any of them works.
Others use: lineage.lineage, chain.said, refine.refine.
"""
