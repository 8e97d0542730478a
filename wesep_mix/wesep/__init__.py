"""WeSep's models: names of weights, settings, conversion both ways, parity with reference outputs."""
