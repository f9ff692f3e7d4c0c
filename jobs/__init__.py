"""Jobs: one file a command, `python -m jobs.<name>`; in the wheel the package is rapport_jobs."""
