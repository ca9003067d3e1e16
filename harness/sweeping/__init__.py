"""A search as an Optuna study, the only home of Optuna: its storage, samplers, pruners, leases and plots.

Knows axes and values. Does not know runs or training: the objective is a function that is handed in.
Others use: study.Study, storage.open_studies, listing.
"""
