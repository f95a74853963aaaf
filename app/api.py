"""The dashboard's addresses. Each hands over to the module that knows the answer."""

from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from app import figures
from app.catalog import Catalog, Missing
from app.rows import RowSource
from app.schemas import (
    Metrics,
    Results,
    RowDetail,
    RowQuery,
    RowsQuery,
    RunQuery,
    StudyQuery,
    TablePage,
    Threshold,
)
from app.security import Guard
from app.settings import Settings
from libs.errors import UserError

STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings) -> FastAPI:
    """The application that serves one folder of results and one of models."""
    app = FastAPI(title="A3 dashboard", openapi_url=None, docs_url=None, redoc_url=None)
    catalog = Catalog(settings.results, settings.models)
    source = RowSource(settings)
    app.add_exception_handler(UserError, _explain)

    @app.get("/api/results")
    def results() -> Results:
        return Results(root=str(settings.results), listed=figures.listing(catalog))

    @app.get("/api/metrics")
    def metrics(query: Annotated[StudyQuery, Query()]) -> Metrics:
        return figures.metrics(catalog, query)

    @app.get("/api/scores")
    def scores(query: Annotated[RunQuery, Query()]) -> Response:
        result = catalog.result(query.place)
        body, headers = figures.packed_scores(result, query.view, query.run, settings.scores)
        return Response(body, headers=headers, media_type="application/octet-stream")

    @app.get("/api/thresholds")
    def thresholds(query: Annotated[RunQuery, Query()]) -> list[Threshold]:
        return figures.thresholds(catalog, catalog.result(query.place), query.view, query.run)

    @app.get("/api/rows")
    def rows(query: Annotated[RowsQuery, Query()]) -> TablePage:
        return source.page(catalog.result(query.place), query, settings.page)

    @app.get("/api/row")
    def row(query: Annotated[RowQuery, Query()]) -> RowDetail:
        return source.detail(catalog.result(query.place), query)

    app.mount("/", StaticFiles(directory=STATIC, html=True))
    app.add_middleware(Guard, hosts=settings.hosts, body=settings.upload_bytes)
    return app


def _explain(request: Request, error: Exception) -> JSONResponse:
    """Say what a person can put right."""
    return JSONResponse({"detail": str(error)}, 404 if isinstance(error, Missing) else 422)
