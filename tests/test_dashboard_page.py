"""The dashboard's page in headless Chromium, as people use it."""

import csv
import json
import shutil
import socket
import threading
from urllib.parse import urlencode

import numpy as np
import pytest
import uvicorn
from served import EXPERIMENT, MODEL, OWN, RUN, UNLABELLED_RUN, handler, kept_scores, view
from sklearn.metrics import average_precision_score, roc_auc_score

from app.api import create_app
from app.settings import Settings
from libs import Metrics

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no chromium: apt-get install chromium chromium-driver",
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1280,1000",
)


class Served:
    """A dashboard in a thread."""

    def __init__(self, settings: Settings):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


@pytest.fixture(scope="module")
def served(settings):
    served = Served(settings)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def served_own(own):
    served = Served(own)
    yield served
    served.stop()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture
def page(driver, served):
    """The browser; afterwards nothing has left this machine, and nothing was complained about."""
    driver.get_log("performance"), driver.get_log("browser")
    yield driver
    asked = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
        assert "Network.webSocketCreated" not in message["method"]
    assert asked
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def wait(page, condition, seconds=20):
    """What the condition gives; the page may replace an element while one looks at it."""
    patient = WebDriverWait(page, seconds, 0.05, [StaleElementReferenceException])
    return patient.until(lambda _: condition())


def find(page, name):
    return wait(page, lambda: page.find_element(By.CSS_SELECTOR, f"[data-testid={name}]"))


def open_run(page, served, **changes):
    page.get(f"{served.address}/?{urlencode(RUN | changes)}")
    find(page, "TP")
    find(page, "rows-total")


def state(page) -> dict[str, str]:
    return page.execute_script("return Object.fromEntries(new URLSearchParams(location.search))")


def shown(page) -> dict[str, float]:
    """The confusion matrix and the rates, as the page says them."""
    matrix = {name: find(page, name).find_element(By.CLASS_NAME, "count") for name in MATRIX}
    counts = {name: int(cell.text.replace(",", "")) for name, cell in matrix.items()}
    return counts | {name: float(find(page, name).text) for name in RATES}


MATRIX = ("TP", "FP", "FN", "TN")
RATES = ("precision", "recall", "F1", "FPR", "accuracy")


def expected(settings, threshold: float) -> dict[str, float]:
    """The same, counted here."""
    _, y, scores = view(settings)
    flagged = scores > threshold
    counts = [flagged & (y == 1), flagged & (y == 0), ~flagged & (y == 1), ~flagged & (y == 0)]
    numbers = dict(zip(MATRIX, [int(c.sum()) for c in counts], strict=True))
    rates = Metrics.at_threshold(y, scores, threshold) | {"FPR": flagged[y == 0].mean()}
    return numbers | {name: pytest.approx(rates[name], abs=5.1e-5) for name in RATES}


@pytest.mark.slow
def test_first_page_chooses_something_and_a_run_can_be_chosen(page, served):
    page.get(served.address)
    find(page, "TP")
    links = {link.text: link for link in page.find_elements(By.CSS_SELECTOR, ".detectors .link")}
    assert list(links) == ["A3-n5", "A3-n10", "Autoencoder", "IsolationForest"]
    links["Autoencoder"].click()
    wait(page, lambda: state(page).get("run") == "Autoencoder")
    wait(page, lambda: page.title.startswith("Autoencoder"))
    assert page.find_element(By.CSS_SELECTOR, "tr[data-run=Autoencoder]").get_attribute(
        "aria-current"
    )
    Select(page.find_element(By.NAME, "seed")).select_by_visible_text("1")
    wait(page, lambda: state(page)["seed"] == "1")
    assert "Pollution" in page.page_source


@pytest.mark.slow
def test_keys_and_pointer_move_the_threshold(page, served, settings):
    open_run(page, served)
    slider = find(page, "threshold-slider")
    start = shown(page)
    assert start == expected(settings, float(find(page, "threshold").get_property("value")))
    seen = [start]
    for keys in (Keys.ARROW_LEFT * 3, Keys.PAGE_UP, Keys.HOME, Keys.END, Keys.PAGE_DOWN * 4):
        before = state(page).get("threshold")
        slider.send_keys(keys)
        wait(page, lambda before=before: state(page).get("threshold") != before)
        threshold = float(state(page)["threshold"])
        assert float(slider.get_attribute("aria-valuenow")) == threshold
        seen.append(shown(page))
        assert seen[-1] == expected(settings, threshold)
    assert (seen[3]["FN"], seen[3]["TN"]) == (0, 0)  # Home flags every row
    assert (seen[4]["TP"], seen[4]["FP"]) == (0, 0)  # End flags none
    drag = ActionChains(page).move_to_element(slider).click_and_hold()
    drag.move_by_offset(-150, 0).move_by_offset(-60, 5).release().perform()
    wait(page, lambda: float(state(page)["threshold"]) != threshold)
    assert shown(page) == expected(settings, float(state(page)["threshold"])) != seen[-1]
    assert "precision" in find(page, "live").get_attribute("textContent")


@pytest.mark.slow
def test_thresholds_of_validation_rows_and_typed_ones(page, served, settings):
    open_run(page, served)
    button = page.find_element(By.XPATH, "//button[starts-with(., 'FPR 5 %')]")
    button.click()
    wait(page, lambda: "threshold" in state(page))
    first = float(state(page)["threshold"])
    assert shown(page) == expected(settings, first)
    box = find(page, "threshold")
    box.clear()
    box.send_keys("0.25", Keys.ENTER)
    wait(page, lambda: state(page)["threshold"] == "0.25")
    assert shown(page) == expected(settings, 0.25)


@pytest.mark.slow
def test_curves_are_exact_with_ties(page, served):
    """The browser's own arithmetic against scikit-learn's."""
    page.get(served.address)
    rng = np.random.default_rng(0)
    scores = np.sort(rng.normal(size=500).round(1).astype(np.float32))[::-1]
    y = (rng.random(500) < 1 / (1 + np.exp(-scores))).astype(int)
    found = page.execute_async_script(
        """
        const [scores, labels, thresholds, done] = arguments;
        import("/metrics.js").then(({ Scores }) => {
          const anomalous = labels.reduce((a, b) => a + b, 0);
          const s = new Scores(Float32Array.from(scores), Uint8Array.from(labels),
            labels.length - anomalous, anomalous);
          const { auc, ap } = s.curves();
          done({ auc, ap, at: thresholds.map((t) => s.at(t)), t: s.thresholdFor(0.05) });
        });
        """,
        scores.tolist(),
        y.tolist(),
        [-9, -0.3, 0.1, 1.2, 9],
    )
    assert found["auc"] == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    assert found["ap"] == pytest.approx(average_precision_score(y, scores), abs=1e-12)
    assert found["t"] == pytest.approx(Metrics.threshold_at(scores[y == 0], 0.05))
    for threshold, mine in zip([-9, -0.3, 0.1, 1.2, 9], found["at"], strict=True):
        theirs = Metrics.at_threshold(y, scores, threshold)
        for name in ("accuracy", "precision", "recall", "F1"):
            assert mine[name] == pytest.approx(theirs[name], abs=1e-12), (threshold, name)


def test_numbers_keep_what_stands_before_the_point(page, served):
    page.get(served.address)
    shown = page.execute_async_script(
        """
        const [values, done] = arguments;
        import("/dom.js").then(({ short }) => done(values.map(short)));
        """,
        [14697.32, -1234.56, 999.42, 0.5, 3],
    )
    assert shown == ["14,697", "-1,235", "999.4", "0.5", "3"]


@pytest.mark.slow
def test_filter_sort_page_and_open_a_row(page, served, settings):
    open_run(page, served, threshold=0.25)
    _, y, scores = view(settings)
    page.find_element(By.CSS_SELECTOR, "input[value='false negatives']").click()
    missed = np.flatnonzero((scores <= np.float32(0.25)) & (y == 1))
    words = f"{len(missed)} rows: false negatives"
    wait(page, lambda: find(page, "rows-total").text == words)
    page.find_element(By.CSS_SELECTOR, "input[value=all]").click()
    wait(page, lambda: find(page, "rows-total").text == f"{len(y)} rows: all")
    page.find_element(By.XPATH, "//th/button[starts-with(., 'score')]").click()
    wait(page, lambda: state(page).get("order") == "up")
    wait(
        page,
        lambda: page.find_element(By.XPATH, "//button[starts-with(., 'next')]").click() is None,
    )
    wait(page, lambda: state(page).get("page") == "2")
    third = np.argsort(scores, kind="stable")[25]
    wait(page, lambda: rows(page)[0] == third)
    assert len(page.find_elements(By.CSS_SELECTOR, "table.rows canvas")) == 25
    page.find_element(By.CSS_SELECTOR, f"tr[data-row='{third}'] button").click()
    wait(page, lambda: find(page, "row-title").text.startswith(f"Row {third}"))
    wait(page, lambda: page.switch_to.active_element.text == str(third))  # the focus stays
    page.find_element(By.XPATH, "//button[.='Explain this score']").click()
    wait(page, lambda: "add up to" in find(page, "explanation").text, 60)
    assert "Layers of the target" in find(page, "explanation").text
    # a link shows the same again
    page.get(page.current_url)
    wait(page, lambda: find(page, "row-title").text.startswith(f"Row {third}"))
    assert shown(page) == expected(settings, 0.25)
    assert rows(page)[0] == third
    page.back()


def rows(page) -> list[int]:
    script = "return [...document.querySelectorAll('tr[data-row]')].map((r) => +r.dataset.row)"
    return page.execute_script(script)


@pytest.mark.slow
def test_upload_and_download(page, served, settings, downloads, tmp_path):
    raw = handler().raw_rows(EXPERIMENT, "test")[0][:].reshape(-1, 64)
    table = tmp_path / "mine.csv"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([[f"pixel_{i}" for i in range(64)], *raw.tolist()])
    page.get(served.address)
    page.find_element(By.LINK_TEXT, "Score a table").click()
    find_model = wait(page, lambda: page.find_element(By.NAME, "model"))
    Select(find_model).select_by_value(MODEL)
    wait(page, lambda: state(page).get("model") == MODEL)
    upload = wait(page, lambda: page.find_element(By.NAME, "file"))
    upload.send_keys(str(table))
    page.find_element(By.XPATH, "//button[.='Score it']").click()
    assert wait(page, lambda: find(page, "scored"), 60).text.startswith(f"{len(raw)} rows scored")
    find(page, "download").click()
    path = downloads / "scores.csv"
    wait(page, path.exists)
    with open(path, newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert scores == pytest.approx(kept_scores(settings)["A3-n10"].tolist(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("tab", ["results", "score"])
def test_a_narrow_page_never_scrolls_sideways(page, served, tab):
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        if tab == "results":
            open_run(page, served, row=3)
            find(page, "row-title")
        else:
            page.get(f"{served.address}/?tab=score")
            wait(page, lambda: page.find_element(By.NAME, "file"))
        assert page.execute_script("return document.documentElement.scrollWidth") == 400
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_a_wide_page_is_used(page, served):
    size = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_run(page, served, row=3)
        table, detail = find(page, "rows-total").rect, find(page, "row-title").rect
        assert detail["x"] > table["x"] + table["width"]  # beside each other
        histogram = page.find_element(By.CSS_SELECTOR, ".histogram").rect
        assert histogram["width"] > 1300
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_an_empty_folder_says_what_fills_it(page, tmp_path):
    empty = Served(Settings(results=tmp_path / "results", models=tmp_path / "models"))
    try:
        for tab in ("results", "score"):
            page.get(f"{empty.address}/?tab={tab}")
            wait(page, lambda: "make demo" in page.find_element(By.ID, "main").text)
    finally:
        empty.stop()


@pytest.mark.slow
def test_results_without_metrics_show_their_scores(page, settings, tmp_path):
    shutil.copytree(settings.results, tmp_path / "results")
    for path in (tmp_path / "results").rglob("*.metric.csv"):
        path.unlink()
    unlabelled = Served(Settings(results=tmp_path / "results", models=settings.models))
    try:
        page.get(unlabelled.address)
        wait(page, lambda: "rows without labels" in page.find_element(By.ID, "main").text)
        rows = len(kept_scores(settings)["classes"])
        assert f"of {rows} rows flagged" in find(page, "flagged").text
    finally:
        unlabelled.stop()


@pytest.mark.slow
def test_everything_can_be_reached_by_keys(page, served):
    """Tab goes through what can be used, and the focus can be seen."""
    open_run(page, served)
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    reached = set()
    for _ in range(40):
        active = page.switch_to.active_element
        reached.add(active.get_attribute("data-testid") or active.get_attribute("name"))
        outline = active.value_of_css_property("outline-style")
        assert outline != "none" or active.get_attribute("role") == "slider"
        active.send_keys(Keys.TAB)
    assert {"seed", "view", "run", "threshold-slider", "threshold"} <= reached


def enter(page, name: str, value: str) -> None:
    """Type a number into a field, again if the page replaces it meanwhile."""

    def typed() -> bool:
        box = page.find_element(By.NAME, name)
        box.clear()
        box.send_keys(value, Keys.ENTER)
        return True

    wait(page, typed)


def press(page, xpath: str) -> None:
    """Click, again if the page replaces the element meanwhile."""
    wait(page, lambda: page.find_element(By.XPATH, xpath).click() is None)


@pytest.mark.slow
def test_thresholds_by_alerts_rate_and_costs(page, served, settings):
    open_run(page, served)
    _, y, scores = view(settings)
    enter(page, "alerts", "9")
    wait(page, lambda: find(page, "flagged").text.startswith("9 of"))
    wait(page, lambda: "threshold" in state(page))
    assert shown(page) == expected(settings, float(state(page)["threshold"]))
    enter(page, "rate", "5")
    button = page.find_element(By.XPATH, "//button[starts-with(., 'FPR 5 %')]")
    offered = button.text.split(": ")[1]
    wait(page, lambda: find(page, "threshold").get_property("value").startswith(offered[:5]))
    enter(page, "miss", "10")
    enter(page, "alarm", "1")
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([[0], np.cumsum(y[order])])
    least = ((y.sum() - hits) * 10 + np.arange(len(y) + 1) - hits).min()
    wait(page, lambda: f"the least on these rows: {least}" in find(page, "rule-note").text)
    found = shown(page)
    assert found["FN"] * 10 + found["FP"] == least
    top = y[order][:10].mean()
    assert float(find(page, "precision-10").text) == pytest.approx(top, abs=1e-4)
    assert "epoch" in find(page, "losses").get_attribute("textContent")


@pytest.mark.slow
def test_a_method_without_explanations_has_no_button(page, served):
    open_run(page, served, run="IsolationForest", row=3)
    find(page, "row-title")
    assert "no explanation of IsolationForest" in find(page, "explain").text
    assert not page.find_elements(By.XPATH, "//button[starts-with(., 'Explain')]")


HEADS = "table.rows thead tr:last-child th"


@pytest.mark.slow
def test_columns_and_marks_of_an_own_table(page, served_own, downloads):
    page.get(f"{served_own.address}/?{urlencode(OWN)}")
    find(page, "rows-total")
    heads = [head.text for head in page.find_elements(By.CSS_SELECTOR, HEADS)]
    own = ["amount", "kind", "place", "score"]
    assert heads == ["row", "line", "ref", "mark", "score ↓", "class", "verdict", *own]
    assert find(page, "divider").text.startswith("▲ flagged")
    press(page, "//table[@class='rows']//th/button[.='score']")
    wait(page, lambda: state(page).get("feature") == "score")
    last = f"{HEADS}:last-child"
    wait(page, lambda: page.find_element(By.CSS_SELECTOR, last).text == "score ↓")
    assert any("filled" in td.text for td in page.find_elements(By.CSS_SELECTOR, "td.filled"))
    first, second = rows(page)[:2]
    for word, row in (("confirm", first), ("mark as false positive", second)):
        press(page, f"//button[@aria-label='{word}: row {row}']")
    words = "1 confirmed, 1 false positives."
    wait(page, lambda: find(page, "marked").text.startswith(words))
    wait(page, lambda: "python do_csv.py payments-labelled.csv" in page.page_source)
    find(page, "labelled-csv").click()
    path = downloads / "payments-labelled.csv"
    wait(page, path.exists)
    assert path.read_text().startswith("ref,amount,kind,place,score,file,class\n")
    page.refresh()
    wait(page, lambda: find(page, "marked").text.startswith(words))
    press(page, "//button[.='Forget the marks']")
    wait(page, lambda: not page.find_elements(By.CSS_SELECTOR, "[data-testid=marked]"))


@pytest.mark.slow
def test_strange_features_come_first_and_contributions_beside_them(page, served_own):
    page.get(f"{served_own.address}/?{urlencode(OWN)}")
    find(page, "rows-total")
    fraud = "//tr[@data-row and .//td[.='fraud'] and not(.//td[contains(@class, 'filled')])]"
    press(page, f"{fraud}/th/button")
    first = f"{FEATURES} tbody tr th"
    wait(page, lambda: page.find_element(By.CSS_SELECTOR, first).text == "amount")
    assert "payments.csv, line" in find(page, "origin").text
    assert find(page, "dropped").text.startswith("Not among the inputs: file note ")
    assert "card (" in page.find_element(By.CSS_SELECTOR, FEATURES).text
    page.find_element(By.XPATH, "//button[.='Explain this score']").click()
    wait(page, lambda: len(page.find_elements(By.CSS_SELECTOR, f"{FEATURES} svg.bar")) == 4, 60)
    assert Select(page.find_element(By.NAME, "features")).first_selected_option.text == (
        "contribution"
    )


FEATURES = "[data-testid=features]"


@pytest.mark.slow
def test_rows_without_labels(page, served_own):
    page.get(f"{served_own.address}/?{urlencode(UNLABELLED_RUN)}")
    find(page, "rows-total")
    enter(page, "alerts", "3")
    wait(page, lambda: find(page, "flagged").text.startswith("3 of 40 rows"))
    assert "python score.py" in find(page, "next").text
    assert not page.find_elements(By.CSS_SELECTOR, "[data-testid=TP], [name=miss]")
    press(page, "//button[.='Explain these rows']")
    reasons = "//table[@class='rows']//tbody/tr[@data-row]/td[contains(., '(+')]"
    wait(page, lambda: page.find_elements(By.XPATH, reasons), 60)
    verdicts = "return [...document.querySelectorAll('.verdict')].map((v) => v.textContent)"
    assert page.execute_script(verdicts)[:4] == ["flagged", "flagged", "flagged", ""]


@pytest.mark.slow
def test_an_upload_has_a_line_between_flagged_and_not(page, served_own, tmp_path):
    lines = [f"{900 if i == 3 else 100},card,b,0.5" for i in range(6)]
    (tmp_path / "new.csv").write_text("\n".join(["amount,kind,place,score", *lines]) + "\n")
    page.get(f"{served_own.address}/?tab=score")
    model = "csv-payments/a3/3/fine_known_fraud/Autoencoder"
    Select(wait(page, lambda: page.find_element(By.NAME, "model"))).select_by_value(model)
    wait(page, lambda: state(page).get("model") == model)
    wait(page, lambda: page.find_element(By.NAME, "file")).send_keys(str(tmp_path / "new.csv"))
    page.find_element(By.NAME, "alerts").send_keys("1")
    page.find_element(By.XPATH, "//button[.='Score it']").click()
    wait(page, lambda: "1 of them flagged" in find(page, "scored").text, 60)
    table = [row.text for row in page.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert table[0].startswith("5 ")
    assert "flagged " in table[0]
    assert "amount (+" in table[0]
    assert "not flagged" in table[1]
