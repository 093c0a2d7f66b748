"""Buckets and objects, in a folder or in an S3."""
