"""Which architectures' adapters PEFT can take from the harness: tried on tiny random models of both libraries."""
