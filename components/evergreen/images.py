"""The container images that the components run in: named here and nowhere else."""

from evergreen.version import __version__

REPOSITORY = "ghcr.io/kfp-evergreen/evergreen"
"""Where the images are pushed; ``evergreen compile --image-registry`` puts another place into a compiled pipeline."""

BASE_IMAGE = f"{REPOSITORY}-base:{__version__}"
"""Everything but alibi-detect."""

DRIFT_IMAGE = f"{REPOSITORY}-drift:{__version__}"
"""The base image and alibi-detect."""
