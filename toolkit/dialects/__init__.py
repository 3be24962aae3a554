"""How a trajectory is spoken."""
