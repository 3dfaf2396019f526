# SPDX-License-Identifier: MIT
"""Plumbline: do an operating system's IPC mechanisms keep their promises, alone and under load?"""

__version__ = "0.1.0"
