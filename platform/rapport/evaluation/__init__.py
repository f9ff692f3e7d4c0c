"""What another policy would have earned, judged from a log: arrays in, numbers out."""
