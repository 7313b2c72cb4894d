"""The only code that touches exact counts: noise, selection, accounting, the ledger and the curator."""
