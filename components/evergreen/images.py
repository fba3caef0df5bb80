"""Names of the container images that the components run in, defined only here."""

from evergreen.version import __version__

REPOSITORY = "ghcr.io/kfp-evergreen/evergreen"
"""Registry path that the images are pushed to; ``evergreen compile --image-registry`` replaces it in a compiled pipeline."""

BASE_IMAGE = f"{REPOSITORY}-base:{__version__}"
"""Everything except alibi-detect."""

DRIFT_IMAGE = f"{REPOSITORY}-drift:{__version__}"
"""The base image plus alibi-detect."""

TRIGGER_IMAGE = f"{REPOSITORY}-trigger:{__version__}"
"""The trigger service, which starts runs from events."""

IMAGES = (BASE_IMAGE, DRIFT_IMAGE, TRIGGER_IMAGE)
"""All images; each has a target of the same name in ``components/Dockerfile``."""
