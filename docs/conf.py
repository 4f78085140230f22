"""Sphinx: MyST pages, furo, and nothing asked of other hosts."""

import modoptic

project = "modoptic"
author = "the modoptic authors"
release = modoptic.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
suppress_warnings = ["ref.python", "docutils", "ref.class", "myst.xref_missing"]
html_theme = "furo"
html_title = "modoptic"
exclude_patterns = ["_build"]
