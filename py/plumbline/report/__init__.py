# SPDX-License-Identifier: MIT
"""The report page: what a run found, in one file that needs no network and no script."""
