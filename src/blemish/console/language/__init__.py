"""The languages of the console: messages, numbers and times for each visitor."""
