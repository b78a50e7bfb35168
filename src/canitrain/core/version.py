"""The version, here so that a report need not search the installed packages for it; a test holds it to theirs."""

VERSION = "0.1.0"
