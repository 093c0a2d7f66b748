"""Files that several servers share, in an S3, with a bounded cache on the disk of each."""
