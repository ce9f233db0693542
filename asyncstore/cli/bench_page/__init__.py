"""Pages about measurements, for a browser: each is one file that needs no other and no network."""

from asyncstore.cli.bench_page.comparison import comparison_page
from asyncstore.cli.bench_page.page import page

__all__ = ["comparison_page", "page"]
