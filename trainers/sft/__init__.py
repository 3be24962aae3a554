"""Supervised fine-tuning of students: TRL and peft, with a weight for every token."""
