"""What runs on the nodes of a Ray cluster: drivers in child processes, and the work of a node."""
