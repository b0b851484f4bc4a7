"""The reviewer model: a LoRA adapter that answers one label's question about one window with verbatim quotes."""
