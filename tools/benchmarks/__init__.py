"""``make bench``: what recording costs, side by side with other tools, in one run."""
