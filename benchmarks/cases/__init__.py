"""The cases. Each says what is compared, proves that all of it was done, and what must hold."""
