"""Where MLflow keeps things: by default one SQLite database and one artifact folder under mlruns/.

Every path is absolute: MLflow takes a relative one from whatever the working directory is.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from harness.config.paths import MLRUNS
from harness.config.schema import TrackingConfig
from harness.errors import HarnessError
from harness.tracking.connections import close_connections_at_exit
from harness.tracking.database import can_write, database_of, make_database

_CONNECT_SECONDS = 5.0
# what MLflow's page takes the experiment for
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Store:
    """A tracking store. `home`: the local folder of a SQLite database and its artifacts; None with a server.

    `beside_server`: where the runs and studies of a server's clients lie on this machine.
    """

    uri: str
    home: Path | None
    client: MlflowClient
    beside_server: Path = MLRUNS

    def experiment_id(self, name: str) -> str:
        """The experiment of that name, made if it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = self._artifacts(name)
            try:
                return str(self.client.create_experiment(name, artifact_location=location, tags=_MODEL_TRAINING))
            except MlflowException:  # another process made it meanwhile
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        _refuse_deleted(found)
        return str(found.experiment_id)

    @property
    def folder(self) -> Path:
        """What is kept on this machine: beside the database, or in the checkout."""
        return self.home or self.beside_server

    @property
    def runs(self) -> Path:
        """The folder with a folder for each run."""
        return self.folder / "runs"

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    def answers(self, seconds: float = 0.4) -> bool:
        """Whether it takes part within that time: a server replies, a SQLite database can be written."""
        if self.uri.startswith("sqlite:"):
            return can_write(database_of(self.uri), seconds)
        return not self.uri.startswith("http") or _replies(self.uri, seconds)

    def silent(self) -> HarnessError:
        """What to say when it does not answer."""
        if self.home is not None:
            return HarnessError(
                f"{database_of(self.uri)} cannot be written; end the program that holds it, or make room"
            )
        return HarnessError(
            f"the tracking server {self.uri} does not answer; start it, or keep the run here with tracking.uri=null"
        )

    def find_experiment(self, name: str) -> str | None:
        found = self.client.get_experiment_by_name(name)
        return None if found is None else str(found.experiment_id)

    def _artifacts(self, name: str) -> str | None:
        return None if self.home is None else (self.home / "artifacts" / quote(name, safe="")).as_uri()


def open_store(config: TrackingConfig) -> Store:
    """Connect, and make the default database if it is not there yet.

    Raises:
        HarnessError: when the store cannot be opened, with the next step.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it tells of each migration of a new database
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # else with tracebacks what it raises anyway
    uri = (config.uri or f"sqlite:///{MLRUNS / 'mlflow.db'}").rstrip("/")
    if "://" not in uri:
        raise HarnessError(
            f"tracking.uri={uri} must be a URI such as http://127.0.0.1:5000 or sqlite:////folder/mlflow.db, or null"
        )
    if "@" in urlsplit(uri).netloc:
        raise HarnessError(
            "tracking.uri must not hold a user or password, it is written into every run; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (PGUSER and PGPASSWORD for PostgreSQL) instead"
        )
    if uri.startswith("http") and not _replies(uri, _CONNECT_SECONDS):
        raise Store(uri, None, MlflowClient(uri)).silent()
    if not uri.startswith("http"):
        close_connections_at_exit()
    local = None
    try:
        if uri.startswith("sqlite:"):
            database = database_of(uri)
            if not database.is_absolute():
                raise HarnessError(f"tracking.uri={uri} must hold an absolute path, as sqlite:////folder/mlflow.db")
            local = database.parent
            make_database(database)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        use_globally(uri)
        client.search_experiments(max_results=1)
    except HarnessError:
        raise
    except Exception as error:  # SQLAlchemy's, requests' and MLflow's errors share no base class
        step = "see that it is whole and can be written, or choose another tracking.uri"
        raise HarnessError(f"the tracking store {uri} cannot be opened: {_first_line(error)}; {step}") from error
    return Store(uri, local, client)


def use_globally(uri: str) -> None:
    """Some of MLflow looks up what models:/… means through its global URI, whatever client is asked."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)


def open_writable_store(config: TrackingConfig) -> Store:
    """Like open_store, for what will write: it must answer.

    Raises:
        HarnessError: when it does not.
    """
    store = open_store(config)
    if not store.answers(_CONNECT_SECONDS):
        raise store.silent()
    return store


def was_deleted(store: Store, run_id: str, *, purged: bool = False) -> bool:
    """Whether a person deleted the run in MLflow.

    `purged`: one that is not there counts as deleted, for it was there once; else MLflow may not have heard of it yet.
    """
    try:
        return store.client.get_run(run_id).info.lifecycle_stage == "deleted"
    except MlflowException as error:
        return purged and error.error_code == "RESOURCE_DOES_NOT_EXIST"


def is_known(store: Store, run_id: str) -> bool:
    """Whether MLflow has a run of that id, deleted or not."""
    try:
        store.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _replies(uri: str, seconds: float) -> bool:
    """Any reply counts but those by which a proxy says that the server behind it is away."""
    try:
        return requests.get(f"{uri.rstrip('/')}/health", timeout=seconds).status_code not in (502, 503, 504)
    except requests.RequestException:
        return False


def _refuse_deleted(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise HarnessError(
            f"the experiment {experiment.name} was deleted in MLflow; restore it there, or choose another name=…"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0]
