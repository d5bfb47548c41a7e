#!/bin/sh
# As `make gpu`, for machines without make; options as of gpu.py.
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu.py" "$@"
