"""The pages for people: projects, runs and artifacts, rendered here and readable without scripts.

Nothing that a run logged is ever trusted: text is escaped, files come from addresses where a
browser runs no script, and the pages allow no script but their own.
"""
