"""The report: what a home's log holds and proves, as one page for people."""
