"""Tests of roi-ray. This file is imported first: torch reads these settings when it is imported."""

import os

# Tests that run side by side share the cores with each other and with jobs that take all cores. A
# thread that waits for another one, which has no core, must not spin meanwhile, as it does by
# default: then computations take four times the CPU time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
