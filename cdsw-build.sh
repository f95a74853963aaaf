#!/usr/bin/env bash
# Cloudera Machine Learning runs this when it builds the image of the model endpoint.
set -euo pipefail
python3 cml/install.py
