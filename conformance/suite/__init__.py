# SPDX-License-Identifier: MIT
"""What the tests stand on: the catalogue, the driver under test, outcomes, residue."""
