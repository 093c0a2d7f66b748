"""The part of AWS STS that SDKs and samples call first: who the caller is."""
