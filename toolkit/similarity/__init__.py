"""Which texts say almost the same: shingles, sketches, shapes of programs, and a verified choice among those alike."""
