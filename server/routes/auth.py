"""/auth: tokens and API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from fastapi.security import OAuth2PasswordRequestForm

from core.errors import InvalidInputError
from server import answers
from server.bodies import ApiKeyCreate, TokenRefresh
from server.errors import ForbiddenError, UnauthorizedError
from server.identity import LOCAL, Principal
from server.responses import Json, JsonRoute
from server.services import Asking, Served

router = APIRouter(route_class=JsonRoute, prefix="/auth", tags=["Auth"])

NO_STORE = {"cache-control": "no-store"}


@router.post("/token", response_model=answers.Tokens)
async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()], services: Served) -> Response:
    if "\x00" in form.username:
        raise UnauthorizedError("The name or the password is wrong.")
    principal = await services.users.verify(form.username, form.password)
    return Json(await services.tokens.issue(principal), headers=NO_STORE)


@router.post("/refresh", response_model=answers.Tokens)
async def refresh(body: TokenRefresh, services: Served) -> Response:
    return Json(await services.tokens.refresh(body.refresh_token), headers=NO_STORE)


@router.post("/revoke", status_code=204)
async def revoke(services: Served, asking: Asking, authorization: Annotated[str, Header()] = "") -> Response:
    """Ends the access token the request came with, and its refresh tokens."""
    _needs_users(asking)
    scheme, _, access = authorization.partition(" ")
    if scheme.lower() != "bearer" or access.count(".") != 2:
        raise InvalidInputError("Only an access token can be revoked.", "Delete an API key at /auth/keys/{id}.")
    await services.tokens.revoke(access)
    return Response(status_code=204)


@router.get("/me", response_model=answers.User)
async def me(asking: Asking) -> Response:
    return Json(asking.as_dict())


@router.post("/keys", response_model=answers.ApiKey)
async def make_key(body: ApiKeyCreate, services: Served, asking: Asking) -> Response:
    _needs_users(asking)
    return Json(await services.tokens.make_key(asking.identity, body.label), headers=NO_STORE)


@router.get("/keys", response_model=list[answers.ApiKey])
async def keys(services: Served, asking: Asking) -> Response:
    return Json(await services.tokens.keys(asking.identity))


@router.delete("/keys/{key_id}", status_code=204)
async def delete_key(key_id: str, services: Served, asking: Asking) -> Response:
    await services.tokens.delete_key(asking.identity, key_id)
    return Response(status_code=204)


def _needs_users(asking: Principal) -> None:
    if asking.identity == LOCAL:
        raise ForbiddenError("The local user has no tokens and keys.", "Add a user with ddb-agent user add.")
