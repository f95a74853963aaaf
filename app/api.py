"""The dashboard's addresses. Each delegates to the module that has the answer."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from app import explaining, figures
from app.catalog import Catalog, Missing
from app.predict import predict
from app.queries import (
    FilteredQuery,
    MarksQuery,
    ModelQuery,
    ReasonsQuery,
    RowQuery,
    RowsQuery,
    RunQuery,
    ScoredQuery,
    StudyQuery,
    ThresholdsQuery,
    UploadQuery,
)
from app.rows import RowSource
from app.schemas import (
    About,
    Contribution,
    Expected,
    Explanation,
    Metrics,
    Models,
    Predicted,
    Results,
    Retraining,
    RowDetail,
    Scored,
    TablePage,
    Threshold,
)
from app.scoring import Scoring, TooManyError, threshold_of
from app.security import Guard
from app.settings import Settings
from libs.utils.errors import UserError

STATIC = Path(__file__).parent / "static"
SILENT = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)
"""FastAPI would send figures to OpenTelemetry, whose environment may name another host."""


def create_app(settings: Settings) -> Guard:
    """The ASGI application that serves one folder of results and one of models."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=SILENT)
    catalog = Catalog(settings.results, settings.models)
    source = RowSource(settings)
    scoring = Scoring(settings, source)
    app.add_exception_handler(UserError, _answer_error)
    app.include_router(_route_results(settings, catalog))
    app.include_router(_route_rows(settings, catalog, source))
    app.include_router(_route_explanations(catalog, source, scoring))
    app.include_router(_route_models(settings, catalog, scoring))
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return Guard(app, settings.hosts, settings.upload_bytes)  # around answers to errors, too


def _route_results(settings: Settings, catalog: Catalog) -> APIRouter:
    """Result files: metrics, scores and thresholds."""
    router = APIRouter(prefix="/api")

    @router.get("/results")
    def results() -> Results:
        return Results(root=str(settings.results), listed=figures.listing(catalog))

    @router.get("/metrics")
    def metrics(query: Annotated[StudyQuery, Query()]) -> Metrics:
        return figures.metrics(catalog, query)

    @router.get("/scores")
    def scores(query: Annotated[RunQuery, Query()]) -> Response:
        result = catalog.result(query.place)
        body, headers = figures.packed_scores(result, query.view, query.run, settings.scores)
        return Response(body, headers=headers, media_type="application/octet-stream")

    @router.get("/thresholds")
    def thresholds(query: Annotated[ThresholdsQuery, Query()]) -> list[Threshold]:
        return figures.thresholds(catalog, catalog.result(query.place), query)

    @router.get("/about")
    def about(query: Annotated[RunQuery, Query()]) -> About:
        return figures.about_run(catalog, catalog.result(query.place), query)

    return router


def _route_rows(settings: Settings, catalog: Catalog, source: RowSource) -> APIRouter:
    """Rows behind the scores, and tables of them to download."""
    router = APIRouter(prefix="/api")

    @router.get("/rows")
    def rows(query: Annotated[RowsQuery, Query()]) -> TablePage:
        return source.page(catalog.result(query.place), query, settings.page)

    @router.get("/rows.csv")
    def rows_table(query: Annotated[FilteredQuery, Query()]) -> Response:
        from app.tables import as_csv  # a second

        heads, *lines = source.table(catalog.result(query.place), query)
        return _file([as_csv(heads, lines)], "rows.csv")

    @router.get("/row")
    def row(query: Annotated[RowQuery, Query()]) -> RowDetail:
        return source.detail(catalog.result(query.place), query)

    @router.get("/labelled.csv")
    def labelled(query: Annotated[MarksQuery, Query()]) -> Response:
        from app.feedback import Feedback  # a second

        feedback = Feedback(source, catalog.result(query.place), query)
        lines = feedback.lines()
        return _file(chain([next(lines)], lines), feedback.name)

    @router.get("/retraining")
    def retraining(query: Annotated[MarksQuery, Query()]) -> Retraining:
        from app.feedback import Feedback

        return Feedback(source, catalog.result(query.place), query).retraining()

    return router


def _route_explanations(catalog: Catalog, source: RowSource, scoring: Scoring) -> APIRouter:
    """Explanations of scores."""
    router = APIRouter(prefix="/api")

    @router.get("/explanation")
    def explanation(query: Annotated[RowQuery, Query()]) -> Explanation:
        return explaining.explain(catalog, source, scoring, catalog.result(query.place), query)

    @router.get("/reasons")
    def reasons(query: Annotated[ReasonsQuery, Query()]) -> dict[int, list[Contribution]]:
        return explaining.reasons(catalog, source, scoring, catalog.result(query.place), query)

    return router


def _route_models(settings: Settings, catalog: Catalog, scoring: Scoring) -> APIRouter:
    """Models, and tables and records that they score on request."""
    router = APIRouter(prefix="/api")

    @router.get("/models")
    def models() -> Models:
        return Models(
            root=str(settings.models),
            upload_bytes=settings.upload_bytes,
            upload_rows=settings.upload_rows,
            names=list(catalog.models()),
        )

    @router.get("/expected")
    def expected(query: Annotated[ModelQuery, Query()]) -> Expected:
        model = catalog.model(query.model)
        names = [column.name for column in scoring.encoder(model).schema.inputs]
        return Expected(names=names, threshold=threshold_of(model), rate=model.manifest["rate"])

    @router.get("/example")
    def example(query: Annotated[ModelQuery, Query()]) -> Response:
        return _file([scoring.example(catalog.model(query.model))], "example.csv")

    @router.post("/score")
    async def score(request: Request, query: Annotated[UploadQuery, Query()]) -> Scored:
        with NamedTemporaryFile() as file:
            async for chunk in request.stream():
                file.write(chunk)
            file.flush()
            model = catalog.model(query.model)
            return await run_in_threadpool(scoring.score_file, model, file.name, query)

    @router.get("/scored")
    def scored(query: Annotated[ScoredQuery, Query()]) -> Response:
        return _file([scoring.kept(query.id)], "scores.csv")

    @router.post("/predict")
    def predicted(args: Annotated[Any, Body()]) -> Predicted:
        return predict(args, catalog, scoring)

    return router


def _file(parts: Iterable[str], name: str) -> Response:
    """A CSV file to download."""
    ascii_name = name.encode("ascii", "replace").decode().translate(str.maketrans('"\\', "__"))
    headers = {"Content-Disposition": f'attachment; filename="{ascii_name}"'}
    return StreamingResponse(parts, headers=headers, media_type="text/csv; charset=utf-8")


def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """The message of an error that people can put right."""
    status = {Missing: 404, TooManyError: 413}.get(type(error), 422)
    return JSONResponse({"detail": str(error)}, status)
