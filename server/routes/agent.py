"""What is around the agent: feedback, artifacts, the catalog, checking of scripts."""

from __future__ import annotations

from fastapi import APIRouter

from server.responses import JsonRoute

router = APIRouter(route_class=JsonRoute, tags=["Agent"])
