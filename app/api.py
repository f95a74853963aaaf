"""The dashboard's addresses. Each delegates to the module that has the answer."""

import asyncio
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect

from app import explaining, figures
from app.answers import Answers, Pages
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
    Models,
    Predicted,
    Results,
    Retraining,
    RowDetail,
    Scored,
    TablePage,
    Threshold,
)
from app.scoring import BusyError, Scoring, TooManyError, threshold_of
from app.security import Guard
from app.settings import Settings
from libs.experiments.stored_runs import DESCRIPTION
from libs.utils.errors import UserError

STATIC = Path(__file__).parent / "static"
THRESHOLDS = TypeAdapter(list[Threshold])
SILENT = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)
"""FastAPI would send figures to OpenTelemetry, whose environment may name another host."""


def create_app(settings: Settings) -> Guard:
    """The ASGI application that serves one folder of results and one of models."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=SILENT)
    catalog = Catalog(settings.results, settings.models)
    source = RowSource(settings)
    scoring = Scoring(settings, source)
    app.add_exception_handler(UserError, _answer_error)
    app.add_exception_handler(ClientDisconnect, _left)
    app.include_router(_route_results(settings, catalog))
    app.include_router(_route_rows(settings, catalog, source))
    app.include_router(_route_explanations(catalog, source, scoring))
    app.include_router(_route_models(settings, catalog, scoring))
    app.mount("/", Pages(STATIC))
    # around answers to errors, too
    return Guard(app, settings.hosts, settings.upload_bytes, settings.patience)


def _route_results(settings: Settings, catalog: Catalog) -> APIRouter:
    """Result files: metrics, scores and thresholds."""
    router, answers = APIRouter(prefix="/api"), Answers()

    @router.get("/results")
    def results() -> Response:
        def files() -> list[Path]:
            folders = catalog.results().values()
            return [*folders, *(folder / DESCRIPTION for folder in folders)]

        def make() -> Results:
            return Results(root=str(settings.results), listed=figures.listing(catalog))

        return answers.give("results", files, make)

    @router.get("/metrics")
    def metrics(query: Annotated[StudyQuery, Query()]) -> Response:
        return answers.give(
            query.model_dump_json(),
            lambda: [path for _, path in figures.metric_files(catalog, query)],
            lambda: figures.metrics(figures.metric_files(catalog, query)),
        )

    @router.get("/scores")
    def scores(query: Annotated[RunQuery, Query()]) -> Response:
        result = catalog.result(query.place)
        body, headers = figures.packed_scores(result, query.view, query.run, settings.scores)
        return Response(body, headers=headers, media_type="application/octet-stream")

    @router.get("/thresholds", response_model=list[Threshold])
    def thresholds(query: Annotated[ThresholdsQuery, Query()]) -> Response:
        found = figures.thresholds(catalog, catalog.result(query.place), query)
        return _ready(THRESHOLDS.dump_json(found, by_alias=True))

    @router.get("/about")
    def about(query: Annotated[RunQuery, Query()]) -> About:
        return figures.about_run(catalog, catalog.result(query.place), query)

    return router


def _route_rows(settings: Settings, catalog: Catalog, source: RowSource) -> APIRouter:
    """Rows behind the scores, and tables of them to download."""
    router = APIRouter(prefix="/api")

    @router.get("/rows", response_model=TablePage)
    def rows(query: Annotated[RowsQuery, Query()]) -> Response:
        page = source.page(catalog.result(query.place), query, settings.page)
        return _ready(page.model_dump_json(by_alias=True))

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


def _ready(body: str | bytes) -> Response:
    """JSON as it is; FastAPI would wait for a thread again to validate it and to write it."""
    return Response(body, media_type="application/json")


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
    router, working = APIRouter(prefix="/api"), asyncio.Semaphore(settings.uploads)

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
        if working.locked():
            raise BusyError(
                f"{settings.uploads} tables are being scored, as many as the dashboard takes at a "
                "time; try again in a minute"
            )
        async with working:
            with NamedTemporaryFile() as file:
                async for chunk in request.stream():
                    file.write(chunk)
                file.flush()
                model = catalog.model(query.model)
                left = Event()
                watching = asyncio.create_task(_watch(request, left))
                words = model, file.name, query, left
                try:
                    return await run_in_threadpool(scoring.score_file, *words)
                finally:
                    watching.cancel()

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


async def _watch(request: Request, left: Event) -> None:
    """Say when a client has left."""
    while not await request.is_disconnected():
        await asyncio.sleep(1)
    left.set()


def _left(request: Request, error: Exception) -> Response:
    """Nobody is there to read this."""
    return Response(status_code=499)


def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """The message of an error that people can put right."""
    status = {Missing: 404, TooManyError: 413, BusyError: 503}.get(type(error), 422)
    return JSONResponse({"detail": str(error)}, status)
