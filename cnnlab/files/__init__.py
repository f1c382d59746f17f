"""Files: reading what anybody may have made, writing whole or not at all, and where something may be written."""
