"""The container images that the components run in: named here and nowhere else."""

from evergreen.version import __version__

REPOSITORY = "ghcr.io/kfp-evergreen/evergreen"
"""Where the images are pushed; ``evergreen compile --image-registry`` puts another place into a compiled pipeline."""

BASE_IMAGE = f"{REPOSITORY}-base:{__version__}"
"""Everything but alibi-detect."""

DRIFT_IMAGE = f"{REPOSITORY}-drift:{__version__}"
"""The base image and alibi-detect."""

TRIGGER_IMAGE = f"{REPOSITORY}-trigger:{__version__}"
"""The service that turns events into runs."""

IMAGES = (BASE_IMAGE, DRIFT_IMAGE, TRIGGER_IMAGE)
"""All of them; a target of the same name is in ``components/Dockerfile``."""
