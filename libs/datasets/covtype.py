"""Forest cover type (Blackard and Dean, 1999): cells of 30 x 30 m, seven kinds of trees."""

from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files
from libs.utils import storage

SOURCE = (
    "https://archive.ics.uci.edu/dataset/31/covertype, with a header line of the 54 features and "
    "Cover_Type on top"
)
FILE = "covtype/covtype.csv"
PUBLISHED_ROWS = 581_012

MEASURED = """
Elevation Aspect Slope Horizontal_Distance_To_Hydrology Vertical_Distance_To_Hydrology
Horizontal_Distance_To_Roadways Hillshade_9am Hillshade_Noon Hillshade_3pm
Horizontal_Distance_To_Fire_Points
""".split()
FEATURES = [
    *MEASURED,
    *(f"Wilderness_Area{i}" for i in range(1, 5)),
    *(f"Soil_Type{i}" for i in range(1, 41)),
]
CLASSES = {str(i): str(i) for i in range(1, 8)}
"""1 spruce/fir, 2 lodgepole pine, 3 ponderosa pine, 4 cottonwood/willow, 5 aspen, 6 Douglas fir,
7 krummholz"""


def load(data_path: str | Path | None = None) -> DataSet:
    """Load the cells, plain or gzipped; there is no official test split.

    Returns
    -------
    DataSet
        x (581012, 54) float32; classes "1" to "7".
    """
    path = files.find_file(data_path, FILE, SOURCE)
    frame = blocks.read_table(path, FEATURES, ["Cover_Type"], unused=["Id"])
    return DataSet(
        name="covtype" if len(frame) == PUBLISHED_ROWS else "covtype-sample",
        x=frame[FEATURES].to_numpy(np.float32),
        classes=files.map_labels(frame, "Cover_Type", CLASSES, path),
        features=tuple(FEATURES),
        fingerprint=storage.sha256(path),
    )
