"""Why a decision was taken, in numbers and in words, from its row and the release it names."""
