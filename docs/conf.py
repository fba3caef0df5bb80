"""How Sphinx builds the documentation."""

from __future__ import annotations

from evergreen.version import __version__

project = "Evergreen"
release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]

# GitHub makes an anchor of every heading; so does this, and links work in both.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Evergreen {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
