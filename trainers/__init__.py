"""Students: training data, supervised fine-tuning, preferences."""
