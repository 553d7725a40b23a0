"""
The network: finding a carrier's servers, proving who they are, and carrying SIP messages.
"""
