"""Sphinx's settings. Everything a page loads lies in the site itself."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = [page.parent.name for page in HERE.parent.glob("results/*/README.md")]

project = "Spectral bias in practice"
author = "The spectral-bias study's authors"
copyright = f"{author}, MIT licence"
language = "en"
extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx-mathjax-offline"]

nb_execution_mode = "off"  # pages show what was executed before
nb_ipywidgets_js = {}  # no notebook shows a widget; its script would come from elsewhere
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_context = {"default_mode": "auto"}  # light or dark as the system is
html_favicon = str(HERE / "static" / "favicon.svg")
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search stands in the side bar
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "show_toc_level": 1,
    # pages of wide tables have the whole width
    "secondary_sidebar_items": {
        "**": ["page-toc"],
        **{name: [] for name in ("index", "results", *RESULTS)},
    },
}
