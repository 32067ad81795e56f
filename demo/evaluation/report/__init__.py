"""One report of everything measured: the papers' tables and what goes beyond them, as data, Markdown and a page."""

from demo.evaluation.report.document import Document
from demo.evaluation.report.run import kept_beside, make_report, with_what_is_read
from demo.evaluation.report.sections import SECTIONS
from demo.evaluation.report.source import QUICK, Scale, Source
from demo.evaluation.report.write import read_results, write_report

__all__ = ["QUICK", "SECTIONS", "Document", "Scale", "Source", "kept_beside", "make_report",
           "read_results", "with_what_is_read", "write_report"]
