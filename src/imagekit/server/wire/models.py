"""The Models API: every model that the server is told of."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from .._service import Service
from .answers import Answer
from .refusals import not_found


class Models:
    """The endpoints below `/v1/models`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Answer:
        """Every model that the server is told of."""
        listed = self._service.routes.listed()
        return Answer({"object": "list", "data": [_model(*one) for one in listed.items()]})

    async def retrieve(self, request: Request) -> Answer:
        """One model; also one that only the provider may know."""
        name = request.path_params["id"]
        if not name:
            raise not_found("No such model.", "model_not_found", "model")
        target = self._service.routes.target(name)
        return Answer(_model(name, target.provider))


def _model(name: str, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
