"""A search as an Optuna study, the only home of Optuna: its storage, samplers, pruners, leases and plots.

Knows axes and values. Does not know runs or training: the objective is a function that is handed in.
Others use: study.open_study, trial, storage.open_studies, siblings, states, listing, rebuild.
"""
