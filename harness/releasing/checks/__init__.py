"""What one adapter must be before it goes into use, check by check: each gives a verdict with its figure and limit.

Knows an adapter, its base and what its run recorded. Does not know a champion, the registry or what a verdict leads to.
Others use: verdict.Verdict and CheckKind, subject.Subject, and one function of each of the other files.
"""
