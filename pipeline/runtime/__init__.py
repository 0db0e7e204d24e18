"""The commit protocol of one journal partition, and its two hosts."""
