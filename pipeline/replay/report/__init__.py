"""The reports of a comparison: a page with charts, and Markdown for a pull request."""
