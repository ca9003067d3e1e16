"""Hydra's -m: many runs, one study. The same command goes on with it, joins it, or finds it done.

Knows how trials become runs and what is told of them. Does not know how a run trains (run/), how a search chooses
(sweeping/), or how MLflow keeps things (tracking/).
Others use: sweep.run_sweep, report.write_report, table.print_sweep, other_terminal, conclusion.conclude,
supervisor.supervise.
"""
