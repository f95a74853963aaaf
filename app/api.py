"""The dashboard's addresses. Each hands over to the module that knows the answer."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from app import figures
from app.catalog import Catalog, Missing
from app.explaining import explain
from app.predict import predict
from app.rows import RowSource
from app.schemas import (
    Expected,
    Explanation,
    Metrics,
    ModelQuery,
    Models,
    Predicted,
    Results,
    RowDetail,
    RowQuery,
    RowsQuery,
    RunQuery,
    Scored,
    ScoredQuery,
    StudyQuery,
    TablePage,
    Threshold,
    UploadQuery,
)
from app.scoring import Scoring, TooManyError, threshold_of
from app.security import Guard
from app.settings import Settings
from libs.utils.errors import UserError

STATIC = Path(__file__).parent / "static"
SILENT = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)
"""FastAPI would hand figures to OpenTelemetry, whose environment may name another host."""


def create_app(settings: Settings) -> Guard:
    """The ASGI application that serves one folder of results and one of models."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=SILENT)
    catalog = Catalog(settings.results, settings.models)
    source = RowSource(settings)
    scoring = Scoring(settings, source)
    app.add_exception_handler(UserError, _told)

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

    @app.get("/api/explanation")
    def explanation(query: Annotated[RowQuery, Query()]) -> Explanation:
        return explain(catalog, source, scoring, catalog.result(query.place), query)

    @app.get("/api/models")
    def models() -> Models:
        return Models(
            root=str(settings.models),
            upload_bytes=settings.upload_bytes,
            upload_rows=settings.upload_rows,
            names=list(catalog.models()),
        )

    @app.get("/api/expected")
    def expected(query: Annotated[ModelQuery, Query()]) -> Expected:
        model = catalog.model(query.model)
        names = [column.name for column in scoring.encoder(model).schema.inputs]
        return Expected(names=names, threshold=threshold_of(model), rate=model.manifest["rate"])

    @app.get("/api/example")
    def example(query: Annotated[ModelQuery, Query()]) -> Response:
        return _file(scoring.example(catalog.model(query.model)), "example.csv")

    @app.post("/api/score")
    async def score(request: Request, query: Annotated[UploadQuery, Query()]) -> Scored:
        with NamedTemporaryFile() as file:
            async for chunk in request.stream():
                file.write(chunk)
            file.flush()
            model = catalog.model(query.model)
            return await run_in_threadpool(scoring.score_file, model, file.name, query.name)

    @app.get("/api/scored")
    def scored(query: Annotated[ScoredQuery, Query()]) -> Response:
        return _file(scoring.kept(query.id), "scores.csv")

    @app.post("/api/predict")
    def predicted(args: Annotated[Any, Body()]) -> Predicted:
        return predict(args, catalog, scoring)

    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, settings.hosts, settings.upload_bytes)  # around answers to errors, too


def _file(text: str, name: str) -> Response:
    """A CSV file to be kept."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


def _told(request: Request, error: Exception) -> JSONResponse:
    """Say what a person can put right."""
    status = {Missing: 404, TooManyError: 413}.get(type(error), 422)
    return JSONResponse({"detail": str(error)}, status)
