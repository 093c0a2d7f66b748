"""The documentation: the site, its generated pages and its images."""
