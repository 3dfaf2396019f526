# SPDX-License-Identifier: MIT
"""From what was said between a test and its driver to one C file that says it to the C library alone."""
