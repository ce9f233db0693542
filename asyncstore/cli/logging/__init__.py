"""Log records: which are shown or written, where and how."""
