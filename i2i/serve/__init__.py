"""Trained models behind a web page and an HTTP interface, on top of `i2i.inference`."""
