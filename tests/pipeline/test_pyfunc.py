"""A promoted checkpoint is a model of MLflow's own, which writes what harness.generate writes."""

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlx.core as mx
import numpy as np
import pandas
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlx_lm import load

from harness.config.schema import GenerateCommand
from harness.console.progress import Display
from harness.errors import HarnessError
from harness.models.base import Base
from harness.run.context import RunPlace
from harness.run.pipeline import train_run
from harness.run.session import Session
from harness.tracking.candidates import best_of_run
from harness.tracking.pyfunc_flavor import LOADER
from harness.tracking.registry import register, resolve, set_alias
from harness.tracking.store import Store
from harness.writing.grid import lay_out, write_all
from harness.writing.pyfunc import _load_pyfunc as load_pyfunc
from tests.conftest import QUICK, compose_config
from tests.server import free_port

REFERENCE = "models:/pyfunc@champion"
SHORT = {"max_tokens": 6}
CHAT = [{"role": "user", "content": "河"}]


@dataclass(frozen=True)
class Promoted:
    store: Store
    folder: Path
    model: Any

    def texts(self, data: Any, **params: Any) -> list[str]:
        found: list[str] = self.model.predict(data, params=SHORT | params)
        return found

    def generated(self, *overrides: str) -> list[str]:
        """By harness.generate."""
        words = [f"tracking.uri={self.store.uri}", f"adapters={REFERENCE}", "generate.max_tokens=6", *overrides]
        command = compose_config(*words, command=GenerateCommand, config_name="generate")
        return [sample.text for sample in write_all(lay_out(command, [1.0]), command, Display(silent=True))]


@pytest.fixture(scope="module")
def promoted(store: Store) -> Promoted:
    config = compose_config(*QUICK, "name=pyfunc")
    run_id = train_run(config, Session(store, Display(silent=True)), RunPlace()).run_id
    version = register(store, best_of_run(store, run_id), "pyfunc")
    set_alias(store, "pyfunc", "champion", version.number)
    return Promoted(store, resolve(store, REFERENCE), mlflow.pyfunc.load_model(REFERENCE))


def test_a_theme_gives_what_generate_writes_with_the_same_settings(promoted: Promoted) -> None:
    assert promoted.texts(["河"]) == promoted.generated("theme=河")
    warm = {"temperature": 1.5, "top_p": 0.5, "seed": 7}
    settings = [f"generate.{name}={value}" for name, value in warm.items()]
    assert promoted.texts(["灯"], **warm) == promoted.generated("theme=灯", *settings)


def test_rows_come_in_many_forms_and_texts_go_in_their_order(promoted: Promoted) -> None:
    (river,), (lamp,) = promoted.texts("河"), promoted.texts("灯")
    assert river != lamp
    forms: list[Any] = [
        ["河", "灯", "河"],
        [{"theme": "河"}, {"theme": "灯"}, "河"],
        pandas.DataFrame({"theme": ["河", "灯", "河"], "prompt": [None, None, None]}),
        pandas.DataFrame(["河", "灯", "河"]),
        pandas.Series(["河", "灯", "河"]),
        np.array(["河", "灯", "河"]),
        {"theme": np.array(["河", "灯", "河"])},
        [{"theme": np.array("河")}, {"theme": np.array("灯")}, {"theme": np.array("河")}],
    ]
    for form in forms:
        assert promoted.texts(form) == [river, lamp, river], form


def test_messages_go_through_the_chat_template_and_a_prompt_as_it_is(promoted: Promoted, base: Base) -> None:
    chat = base.tokenizer.render(CHAT, add_generation_prompt=True)
    texts = promoted.texts([{"messages": CHAT}, {"prompt": chat}, {"prompt": "河"}], temperature=0)
    assert texts[0] == texts[1] != texts[2]
    forms: list[Any] = [
        {"messages": CHAT},
        pandas.DataFrame([{"messages": CHAT}]),
        [{"messages": np.array(CHAT)}],
        {"messages": np.array([CHAT])},
        {"messages": np.array(CHAT)},
    ]
    for form in forms:
        assert promoted.texts(form, temperature=0) == texts[:1], form


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            {"theme": "河", "prompt": "河"},
            "row 2 must be a theme, or have one of theme, prompt, messages, but got th",
        ),
        ({"topic": "河"}, "row 2 must be a theme, .* but got topic"),
        (7, "row 2 must be a theme, .* but got 7"),
        ({"theme": " "}, "row 2: theme must be a text"),
        ({"messages": "河"}, "row 2: messages must be a list of role and content, but got '河'"),
        ({"messages": [{"content": "河"}]}, "row 2: messages must be a list of role and content, but got"),
        ({"messages": [{"role": "user", "content": 7}]}, "row 2: the chat template of builtin:tiny refused"),
    ],
)
def test_a_row_that_is_nothing_to_answer_is_said_with_its_number(row: Any, complaint: str, promoted: Promoted) -> None:
    with pytest.raises(HarnessError, match=complaint):
        promoted.texts(["河", row])


def test_settings_out_of_their_range_are_refused(promoted: Promoted) -> None:
    with pytest.raises(HarnessError, match="temperature: .*less than or equal to 5, but got 9.0"):
        promoted.texts(["河"], temperature=9)
    with pytest.raises(MlflowException, match="max_tokens"):
        promoted.texts(["河"], max_tokens="many")


def test_requests_from_several_threads_get_their_own_texts(promoted: Promoted) -> None:
    themes = ["河", "灯", "秋天", "母亲"]
    alone = [promoted.texts(theme) for theme in themes]
    with ThreadPoolExecutor(4) as several:
        assert list(several.map(promoted.texts, themes)) == alone


def test_a_script_that_has_written_ends_as_any_other(promoted: Promoted) -> None:
    script = "import sys; from harness.writing.pyfunc import _load_pyfunc as load; "
    script += "print(load(sys.argv[1]).predict('河', {'max_tokens': 6}))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(promoted.folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{promoted.texts('河')}\n"), done.stderr


def test_models_share_a_thread_and_one_that_is_let_go_of_gives_back_its_memory(promoted: Promoted) -> None:
    promoted.model.predict("河", SHORT)
    threads, held = set(threading.enumerate()), mx.get_active_memory()
    model = load_pyfunc(str(promoted.folder))
    model.predict("河", SHORT)
    assert set(threading.enumerate()) == threads and mx.get_active_memory() > held
    del model
    gc.collect()
    promoted.model.predict("河", SHORT)  # after which the thread holds nothing of the other
    assert mx.get_active_memory() <= held


def test_the_model_says_how_it_is_asked_and_names_no_place(promoted: Promoted) -> None:
    written = (promoted.folder / "MLmodel").read_text("utf-8")
    description = yaml.safe_load(written)
    assert importlib.import_module(LOADER)._load_pyfunc and "/" not in written
    params = {each["name"]: each["default"] for each in json.loads(description["signature"]["params"])}
    assert params == {"temperature": 0.8, "top_p": 0.95, "max_tokens": 128, "seed": 0}
    assert (promoted.folder / "requirements.txt").read_text("utf-8").startswith("lora-harness>=")
    assert promoted.model.metadata.signature.outputs.to_dict() == [{"type": "string", "required": True}]


def test_stock_mlx_lm_loads_the_same_folder(promoted: Promoted, base: Base) -> None:
    assert load(str(base.folder), adapter_path=str(promoted.folder))[0] is not None


def test_a_version_of_an_earlier_harness_gets_it_when_it_is_promoted_again(promoted: Promoted) -> None:
    described = (promoted.folder / "MLmodel").read_bytes()
    (promoted.folder / "MLmodel").unlink()
    set_alias(promoted.store, "pyfunc", "former", 1)
    found = yaml.safe_load((promoted.folder / "MLmodel").read_bytes())
    (promoted.folder / "MLmodel").write_bytes(described)
    assert found["flavors"]["python_function"]["loader_module"] == LOADER


@contextmanager
def _served(promoted: Promoted) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", REFERENCE, "--env-manager", "local"]
    found = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # as activating it does: it calls uvicorn
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=os.environ | found | {"MLFLOW_TRACKING_URI": promoted.store.uri},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < deadline, "mlflow models serve did not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).status == 200)
    except OSError:
        return False


def _asked(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


@pytest.mark.slow
def test_mlflow_serves_it(promoted: Promoted) -> None:
    river, lamp = promoted.texts(["河", "灯"])
    with _served(promoted) as url:
        assert _asked(url, {"inputs": ["河", "灯"], "params": SHORT}) == {"predictions": [river, lamp]}
        for form in ({"dataframe_records": [{"theme": "河"}, {"theme": "灯"}]}, {"instances": ["河", "灯"]}):
            assert _asked(url, form | {"params": SHORT}) == {"predictions": [river, lamp]}
        assert _asked(url, {"messages": CHAT, **SHORT}) == promoted.texts([{"messages": CHAT}])
        chats = {"inputs": [{"messages": CHAT}, {"messages": [*CHAT, *CHAT]}], "params": SHORT}
        assert len(_asked(url, chats)["predictions"]) == 2
