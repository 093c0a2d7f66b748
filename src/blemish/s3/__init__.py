"""S3's API over the folders that are the buckets."""
