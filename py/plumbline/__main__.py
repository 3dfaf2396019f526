# SPDX-License-Identifier: MIT
"""python -m plumbline"""
from .cli import main

raise SystemExit(main())
