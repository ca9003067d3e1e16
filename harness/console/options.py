"""Options that several commands share, each said once. Knows nothing of what the commands do."""

import click

tracking_option = click.option("--tracking-uri", help="An MLflow tracking URI.  [default: mlruns/mlflow.db]")
storage_option = click.option(
    "--storage", help="Where the study is kept: what sweep.storage was.  [default: mlruns/studies]"
)
