"""The version of the package, and with it the tag of its images."""

__version__ = "0.1.0"
