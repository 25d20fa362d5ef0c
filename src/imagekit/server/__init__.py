"""A server that speaks OpenAI's image APIs in front of any provider: the door for who runs one."""

from __future__ import annotations

from importlib.util import find_spec

from .._errors import ConfigurationError

if any(find_spec(name) is None for name in ("starlette", "uvicorn", "python_multipart")):
    raise ConfigurationError("the server is an extra; pip install 'imagekit[server]'")

from ._app import App as App
from ._app import create_app as create_app
from ._limits import Limits as Limits

__all__ = ["App", "Limits", "create_app"]
