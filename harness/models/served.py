"""A model of this machine that is asked as an endpoint is: found or fetched, looked at, and served.

Knows folders of models; the server is llm's.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from harness.config.schema import ModelConfig
from harness.llm.serve import served
from harness.models.base import open_base
from harness.models.weights_file import read_metadata


@contextmanager
def served_model(model: str, *, setting: str) -> Iterator[str]:
    """The base URL of a server of it that is there inside.

    Raises:
        HarnessError: when there is no such model, or it cannot be served.
    """
    with served(local_folder(model, setting=setting), setting=setting) as url:
        yield url


def local_folder(model: str, *, setting: str) -> str:
    """Of a model that is to be served; fetched if it is a hub name that is not here yet.

    Raises:
        HarnessError: when there is no such model, or a file of its weights is not whole.
    """
    folder = open_base(ModelConfig(path=model, revision=None), setting=setting).folder
    for file in sorted(folder.glob("model*.safetensors")):
        read_metadata(file)
    return str(folder)
