"""Safety and rights: redaction, the guard, and what a tenant's policy allows."""
