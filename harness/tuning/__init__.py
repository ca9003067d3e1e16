"""The training loop, and what a step can leave out because the trunk is frozen.

Knows MLX, rows and masks; tells what happens to a watcher that is handed in. Does not know MLflow, Optuna, files of a
run but its state, or who asked.
Others use: loop.train, meter.Window, engine.Engine, evaluate.Evaluator, state, memory, trunk_cache.
"""
