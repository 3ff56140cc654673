"""The example site's settings, on databases of this test run alone."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

FOLDER = tempfile.mkdtemp(prefix="dbroute-panel-tests-")
# A process that a test starts loads the settings from the same folder, and must not remove it.
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["EXAMPLE_SITE_DATA"] = f"{FOLDER}/data"
os.environ.pop("EXAMPLE_SITE_TRACES", None)

from example_site.settings import *  # noqa: E402, F403
