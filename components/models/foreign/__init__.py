"""Networks that were made elsewhere: ONNX, exported programs, other input sizes and classes."""
