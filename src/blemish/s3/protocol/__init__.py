"""S3's protocol: requests in, answers out, with bodies that stream; names no operation's work."""
