"""Training: the loop, its checkpoints, its run folders and its reports."""
