"""How well a loaded pack tells people apart, and the thresholds that follow: ``visavis evaluate`` and ``calibrate``."""
