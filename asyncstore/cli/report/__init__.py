"""The report about journals: its facts, and the forms in which ``asyncstore report`` prints them."""
