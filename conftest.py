"""Tests and the notebooks that nbval executes start from an empty run store of their own."""

import atexit
import os
import shutil
import tempfile

os.environ["STUDY_STORE"] = tempfile.mkdtemp(prefix="study-store-")
atexit.register(shutil.rmtree, os.environ["STUDY_STORE"], ignore_errors=True)
