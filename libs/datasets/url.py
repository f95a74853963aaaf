"""ISCX-URL-2016 (Mamun et al., 2016): lexical features of URLs, benign and of four attacks."""

import logging
from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")
SOURCE = "https://www.unb.ca/cic/datasets/url-2016.html"
FILE = "url/All.csv"
PUBLISHED_ROWS = 36_707

NUMBERS = """
Querylength domain_token_count path_token_count avgdomaintokenlen longdomaintokenlen
avgpathtokenlen tld charcompvowels charcompace ldl_url ldl_domain ldl_path ldl_filename ldl_getArg
dld_url dld_domain dld_path dld_filename dld_getArg urlLen domainlength pathLength subDirLen
fileNameLen this.fileExtLen ArgLen pathurlRatio ArgUrlRatio argDomanRatio domainUrlRatio
pathDomainRatio argPathRatio executable isPortEighty NumberofDotsinURL ISIpAddressInDomainName
CharacterContinuityRate LongestVariableValue URL_DigitCount host_DigitCount Directory_DigitCount
File_name_DigitCount Extension_DigitCount Query_DigitCount URL_Letter_Count host_letter_count
Directory_LetterCount Filename_LetterCount Extension_LetterCount Query_LetterCount
LongestPathTokenLength Domain_LongestWordLength Path_LongestWordLength
sub-Directory_LongestWordLength Arguments_LongestWordLength URL_sensitiveWord URLQueries_variable
spcharUrl delimeter_Domain delimeter_path delimeter_Count NumberRate_URL NumberRate_Domain
NumberRate_DirectoryName NumberRate_FileName NumberRate_Extension NumberRate_AfterPath
SymbolCount_URL SymbolCount_Domain SymbolCount_Directoryname SymbolCount_FileName
SymbolCount_Extension SymbolCount_Afterpath Entropy_URL Entropy_Domain Entropy_DirectoryName
Entropy_Filename Entropy_Extension Entropy_Afterpath
""".split()
NORMAL_BY = "ldl_domain"
LABEL = "URL_Type_obf_Type"
CLASSES = {name: name for name in ("benign", "Defacement", "malware", "phishing", "spam")}


def load(data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load the URLs, plain or gzipped; there is no official test split.

    Columns with NaN or Infinity in any row are dropped, and the log names them. With
    normal_by="ldl_domain" (ARGUE's experts) the classes of benign URLs are "0" and "1".

    Returns
    -------
    DataSet
        x (36707, at most 79) float32; classes benign, Defacement, malware, phishing, spam.

    Raises
    ------
    UserError
        If a file is not as published, or no column is left.
    """
    path = files.find_file(data_path, FILE, SOURCE)
    frame = blocks.read_table(path, NUMBERS, [LABEL], gaps=True)
    classes = files.map_labels(frame, LABEL, CLASSES, path)
    gaps = frame[NUMBERS].isna().any()
    features = [name for name in NUMBERS if not gaps[name]]
    broken = normal_by if normal_by and gaps[normal_by] else NUMBERS[0] if gaps.all() else None
    if broken:
        row = frame.index[frame[broken].isna()][0]
        raise UserError(
            f"{path}, line {row}, column {broken!r}: expected a finite number, and other columns "
            "cannot take its place. Get the file again."
        )
    if gaps.any():
        log.info("%s: columns dropped: %s", path.name, ", ".join(gaps.index[gaps]))
    if normal_by:
        own = frame[normal_by].to_numpy().astype(int).astype(str)
        classes = np.where(classes == "benign", own, classes)
    return DataSet(
        name="url" if len(frame) == PUBLISHED_ROWS else "url-sample",
        x=frame[features].to_numpy(np.float32),
        classes=classes,
        features=tuple(features),
        fingerprint=storage.sha256(path),
        normal_by=normal_by,
    )
