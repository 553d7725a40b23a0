"""State machines on an injected clock: transactions, dialogs, registration.  No I/O of their own."""
