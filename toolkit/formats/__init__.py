"""Other people's trajectories, in and out."""
