"""Errors as answers: `{"detail": sentence}` with the status that fits."""

from __future__ import annotations

import logging

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from core.errors import UserError
from server.responses import Json

logger = logging.getLogger(__name__)


class UnauthorizedError(UserError):
    """Nobody knows who is asking."""

    status = 401


class ForbiddenError(UserError):
    """Who is asking may not."""

    status = 403


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(psycopg.OperationalError, _unavailable)
    app.add_exception_handler(PoolTimeout, _unavailable)
    app.add_exception_handler(psycopg.DataError, _bad_data)
    app.add_exception_handler(Exception, _bug)


async def _user_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, UserError)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    return Json({"detail": str(error)}, status_code=error.status, headers=headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lines = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"] if part != "body")
        said = item["msg"].removeprefix("Value error, ")
        what = "Invalid " + place.replace("_id", "").replace("_", " ") + " ID" if place.endswith("_id") else place
        lines.append(f"{what}: {said}" if place else said)
    return Json({"detail": "; ".join(lines)}, status_code=422)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Json({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return Json({"detail": "The database cannot be reached. Try again."}, status_code=503, headers={"retry-after": "2"})


async def _bad_data(_request: Request, error: Exception) -> Response:
    return Json({"detail": f"A value cannot be stored: {str(error).splitlines()[0]}"}, status_code=422)


async def _bug(request: Request, error: Exception) -> Response:
    logger.error("request failed", exc_info=error, extra={"request_id": getattr(request.state, "request_id", None)})
    return Json({"detail": "Internal Server Error"}, status_code=500)
