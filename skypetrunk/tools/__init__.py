"""The C{skypetrunk} command and its parts."""
