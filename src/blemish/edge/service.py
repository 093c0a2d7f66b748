"""The gRPC service: bytes in, bytes out, and the codes of what goes wrong.

Messages are parsed here and not by grpcio, which would answer what cannot be parsed with INTERNAL.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from blemish.edge.errors import CallError, InvalidCallError
from blemish.edge.messages import SERVICE, DecodeError, message_class, methods
from blemish.edge.models import EdgeDescription, EdgeModels

logger = logging.getLogger(__name__)

Method = Callable[[Any], Awaitable[bytes]]


class EdgeService:
    """The five methods of the edge agent."""

    def __init__(self, models: EdgeModels[Any]) -> None:
        self._models = models

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server of grpcio calls."""
        implementations: dict[str, Method] = {
            "DetectAnomalies": self._detect_anomalies,
            "StartModel": self._start_model,
            "StopModel": self._stop_model,
            "ListModels": self._list_models,
            "DescribeModel": self._describe_model,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    _answering(implementations[name], request_class)
                )
                for name, request_class in methods().items()
            },
        )

    async def _detect_anomalies(self, request: Any) -> bytes:
        name = request.model_component
        loaded = await self._models.running(name)
        return await self._models.detect(name, lambda: loaded.answer(request))

    async def _start_model(self, request: Any) -> bytes:
        status = self._models.start(request.model_component)
        return _serialised("StartModelResponse", status=status)

    async def _stop_model(self, request: Any) -> bytes:
        status = await self._models.stop(request.model_component)
        return _serialised("StopModelResponse", status=status)

    async def _list_models(self, _request: Any) -> bytes:
        models = [_members(model) for model in self._models.describe_all()]
        return _serialised("ListModelsResponse", models=models)

    async def _describe_model(self, request: Any) -> bytes:
        description = self._models.describe(request.model_component)
        return _serialised("DescribeModelResponse", model_description=_members(description))


def _answering(
    method: Method, request_class: Any
) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
    """Wrap a method: parse the request, and turn errors to codes."""

    async def answer(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            return await method(_parsed(request_class, data))
        except CallError as error:
            code, message = grpc.StatusCode[error.code], str(error)
        except MemoryError:
            code, message = grpc.StatusCode.RESOURCE_EXHAUSTED, "There is not enough memory."
        except Exception:
            logger.exception("a call failed")
            code, message = grpc.StatusCode.INTERNAL, "The agent failed; its log says why."
        await context.abort(code, message)
        raise AssertionError("abort raises")

    return answer


def _parsed(request_class: Any, data: bytes) -> Any:
    try:
        return request_class.FromString(data)
    except DecodeError as error:
        name = request_class.DESCRIPTOR.name
        raise InvalidCallError(f"The request is no {name}: {error}.") from None


def _members(model: EdgeDescription) -> dict[str, Any]:
    return {
        "model_component": model.component,
        "lookout_vision_model_arn": model.model_arn,
        "status": int(model.status),
        "status_message": model.message,
    }


def _serialised(name: str, **members: Any) -> bytes:
    data: bytes = message_class(name)(**members).SerializeToString()
    return data
