"""pyusb at the edge: what is on the bus, opening it, following one board across resets."""
