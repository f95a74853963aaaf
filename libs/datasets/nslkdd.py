"""NSL-KDD (Tavallaee et al., 2009): network connections, 41 features, attack families."""

from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files
from libs.utils import storage

SOURCE = "https://www.unb.ca/cic/datasets/nsl.html"
FILES = ("NSL-KDD/KDDTrain+.txt", "NSL-KDD/KDDTest+.txt")
PUBLISHED_ROWS = (125_973, 22_544)

COLUMNS = """
duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot
num_failed_logins logged_in num_compromised root_shell su_attempted num_root num_file_creations
num_shells num_access_files num_outbound_cmds is_host_login is_guest_login count srv_count
serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate
srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate dst_host_diff_srv_rate
dst_host_same_src_port_rate dst_host_srv_diff_host_rate dst_host_serror_rate
dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate label difficulty
""".split()

CATEGORIES = {
    "protocol_type": "icmp tcp udp".split(),
    "service": """
        IRC X11 Z39_50 aol auth bgp courier csnet_ns ctf daytime discard domain domain_u echo eco_i
        ecr_i efs exec finger ftp ftp_data gopher harvest hostnames http http_2784 http_443
        http_8001 imap4 iso_tsap klogin kshell ldap link login mtp name netbios_dgm netbios_ns
        netbios_ssn netstat nnsp nntp ntp_u other pm_dump pop_2 pop_3 printer private red_i
        remote_job rje shell smtp sql_net ssh sunrpc supdup systat telnet tftp_u tim_i time urh_i
        urp_i uucp uucp_path vmnet whois
        """.split(),
    "flag": "OTH REJ RSTO RSTOS0 RSTR S0 S1 S2 S3 SF SH".split(),
}

FAMILIES = {
    "normal": "normal",
    "DoS": """
        back land neptune pod smurf teardrop mailbomb apache2 processtable udpstorm
        """,
    "Probe": "ipsweep nmap portsweep satan mscan saint",
    "R2L": """
        ftp_write guess_passwd imap multihop phf spy warezclient warezmaster sendmail named
        snmpgetattack snmpguess xlock xsnoop worm
        """,
    "U2R": "buffer_overflow loadmodule perl rootkit httptunnel ps sqlattack xterm",
}
TEXT = [*CATEGORIES, "label"]
NUMBERS = [c for c in COLUMNS if c not in TEXT]
"""The last one, the difficulty, is no feature."""
NORMAL_BY = "protocol_type"
CLASSES = {label: family for family, labels in FAMILIES.items() for label in labels.split()}


def _read(path: Path, normal_by: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Read rows (n, 122) and classes (n,) of one file."""
    frame = blocks.read_table(path, NUMBERS, TEXT, columns=COLUMNS)
    hot = [files.one_hot(frame, c, values, path) for c, values in CATEGORIES.items()]
    x = np.hstack([frame[NUMBERS[:-1]].to_numpy(np.float32), *hot])
    classes = files.map_labels(frame, "label", CLASSES, path)
    if normal_by:
        classes = np.where(classes == "normal", frame[normal_by], classes).astype(str)
    return x, classes


def load(data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load NSL-KDD from its text files, plain or gzipped.

    The difficulty column is dropped; the three text columns become one 0/1 column per value. With
    normal_by="protocol_type" (ARGUE's experts) the classes of normal rows are icmp, tcp and udp.

    Returns
    -------
    DataSet
        x (125973, 122) and x_test (22544, 122) float32; classes normal, DoS, Probe, R2L, U2R.
    """
    paths = [files.find_file(data_path, name, SOURCE) for name in FILES]
    (x, classes), (x_test, classes_test) = (_read(path, normal_by) for path in paths)
    hot = [f"{column}={value}" for column, values in CATEGORIES.items() for value in values]
    complete = (len(x), len(x_test)) == PUBLISHED_ROWS
    return DataSet(
        name="nslkdd" if complete else "nslkdd-sample",
        x=x,
        classes=classes,
        x_test=x_test,
        classes_test=classes_test,
        features=(*NUMBERS[:-1], *hot),
        fingerprint="".join(storage.sha256(path)[:32] for path in paths),
        normal_by=normal_by,
    )
