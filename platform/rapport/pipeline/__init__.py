"""Stages of the batch side: read the lake, call the domains, write lake and work folder.

No Ray here; a stage that needs it is handed the function that does.
"""
