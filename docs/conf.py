"""How the pages are built: `make docs`. Nothing is loaded from elsewhere, so that they can be read offline."""

from __future__ import annotations

from spark_dp import __version__

project = "spark-dp"
release = __version__
copyright = "the spark-dp authors, Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"spark-dp {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
smartquotes = False  # they would make one dash of the two of --set
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"

myst_heading_anchors = 3  # a heading can be linked to as on a forge
myst_links_external_new_tab = False

default_role = "literal"  # `name` in a docstring is code
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
add_module_names = False


# Classes of other libraries have no page here; neither have our own that a user need not know.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!Synthesizer|SyntheticModel|GraphicalModel|.*Error$).*"),
]
